"""Request framing: where a request ends, so that only whole requests take a thread.

Pure. Only lengths are understood here, and an ambiguous length is refused (RFC 9112, section 6);
gunicorn's parser checks the rest.
"""

import re

_END_OF_HEAD = b"\r\n\r\n"
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)
_LONGEST_LINE = 8190
_OLD = b" HTTP/1.0"
"""Whose clients take 100 Continue for the answer (RFC 9110, section 10.1.1)."""
MAX_HEAD = 32_768
"""Bytes of a request's head, and of the trailers behind a chunked body."""


class RequestError(Exception):
    """A request that is refused before its end: status line and cause."""

    def __init__(self, status: str, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(f"{status}: {text}")


class RequestFrame:
    """The framing of one request while it arrives."""

    def __init__(self, *, max_body: int) -> None:
        self._max_body = max_body
        self._seen = 0
        self._body: int | None = None
        self._length: int | None = None
        self._chunks = 0
        self.expects_continue = False
        """Whether the client waits for 100 Continue before it sends the body."""

    @property
    def has_head(self) -> bool:
        """Whether the head is there."""
        return self._body is not None

    def end(self, received: bytearray) -> int | None:
        """The request's length, or None while it is not whole.

        ``received`` begins with the request and only ever grows. Raises ``RequestError``.
        """
        if self._body is None:
            found = received.find(_END_OF_HEAD, max(0, self._seen - 3))
            self._seen = len(received)
            if max(found, 0) > MAX_HEAD or (found < 0 and self._seen > MAX_HEAD):
                raise RequestError("431 Request Header Fields Too Large", "the head is too long")
            if found < 0:
                return None
            self._read_head(bytes(received[:found]))
            self._body = self._seen = found + len(_END_OF_HEAD)
        if self._length is None:
            return self._end_of_chunks(received)
        whole = self._body + self._length
        return whole if len(received) >= whole else None

    def _read_head(self, head: bytes) -> None:
        lengths: set[bytes] = set()
        codings: list[bytes] = []
        first, *fields = head.split(b"\r\n")
        for line in fields:
            name, _, value = line.partition(b":")
            match name.strip(b" \t").lower():
                case b"content-length":
                    lengths.add(value.strip(b" \t"))
                case b"transfer-encoding":
                    codings.append(value.strip(b" \t").lower())
                case b"expect":
                    wish = value.strip(b" \t").lower()
                    self.expects_continue = wish == b"100-continue" and not first.endswith(_OLD)
        if codings:
            if lengths or codings != [b"chunked"]:
                raise RequestError("400 Bad Request", "the body's length has two readings")
            return
        length = lengths.pop() if lengths else b"0"
        if lengths or not length.isdigit():
            raise RequestError("400 Bad Request", "Content-Length is no number")
        self._length = int((length.lstrip(b"0") or b"0")[:19])
        self._check_size(self._length)

    def _end_of_chunks(self, received: bytearray) -> int | None:
        """Walk over whole chunks, each once."""
        while True:
            line_end = received.find(b"\r\n", self._seen, self._seen + _LONGEST_LINE)
            if line_end < 0:
                if len(received) - self._seen >= _LONGEST_LINE:
                    raise RequestError("400 Bad Request", "a chunk's size line is too long")
                return None
            size = _SIZE.fullmatch(received[self._seen : line_end])
            if size is None:
                raise RequestError("400 Bad Request", "a chunk's size is no number")
            length = int(size[1], 16)
            if length == 0:
                return self._end_of_trailers(received, line_end)
            self._check_size(self._chunks + length)
            after = line_end + 2 + length + 2
            if len(received) < after:
                return None
            self._chunks += length
            self._seen = after
            self._check_size((after - (self._body or 0)) // 8)  # chunks of a byte take six

    def _end_of_trailers(self, received: bytearray, line_end: int) -> int | None:
        """Trailers end with an empty line, which may follow the last chunk's line at once."""
        found = received.find(_END_OF_HEAD, line_end)
        if found >= 0:
            return found + len(_END_OF_HEAD)
        if len(received) - line_end > MAX_HEAD:
            raise RequestError("431 Request Header Fields Too Large", "the trailers are too long")
        return None

    def _check_size(self, size: int) -> None:
        if size > self._max_body:
            raise RequestError(
                "413 Content Too Large", f"the body is larger than {self._max_body} bytes"
            )
