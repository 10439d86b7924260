"""One kept connection to an HTTP/1.1 server: a request, its answer, and the next (RFC 9112).

A general client spends half a millisecond of CPU on a request whose answer takes a hundredth of
that to read; the scheduler waits for Bindings, so this one has only what the API server uses.
Whatever it sends is bounded in size and time, and what is not plain HTTP is refused.
"""

import re
import select
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from k40s.units import NS_PER_S, Nanoseconds

_MAX_HEAD = 64 << 10
_MAX_INFORMATIONAL = 8
_RECEIVE = 64 << 10
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_TEXT = re.compile(r"[\t\x20-\x7e]*")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_INFORMATIONAL = range(100, 200)
_WITHOUT_BODY = (204, 304)
_END = b"\r\n"


class ProtocolError(OSError):
    """The peer does not speak HTTP as agreed, or has ended the connection too early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an answer says before its body: ``length`` is None where chunks or the end tell it."""

    status: int
    length: int | None
    chunked: bool
    kept: bool


def format_request(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """Write a whole request. ValueError for a text that would end its line."""
    if not _TARGET.fullmatch(target):
        raise ValueError(f"not a path: {target!r}")
    if not all(map(_TEXT.fullmatch, headers.values())):
        raise ValueError("a header has characters that end it")
    fields = dict(headers) if body is None else {**headers, "Content-Length": str(len(body))}
    lines = "".join([f"{name}: {text}\r\n" for name, text in fields.items()])
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + (body or b"")


class Connection:
    """A connected socket. Every method raises ``OSError``; close it then, and after a stream."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""
        self._until: int | None = None

    def close(self) -> None:
        """End it."""
        self._sock.close()

    def is_idle(self) -> bool:
        """Whether the peer has neither ended it nor sent what nobody asked for."""
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        return not self._held and not poller.poll(0)

    def set_deadline(self, deadline: int) -> None:
        """From now on all must be done at this instant of the monotonic clock, ns."""
        self._until = deadline

    def set_silence(self, longest: Nanoseconds) -> None:
        """From now on nothing bounds the whole, but each wait for the peer."""
        self._until = None
        self._sock.settimeout(longest / NS_PER_S)

    def send(self, request: bytes) -> None:
        """Send it all."""
        self._limit()
        self._sock.sendall(request)

    def read_head(self) -> Head:
        """Wait for an answer; those that only promise one are passed over."""
        for _ in range(_MAX_INFORMATIONAL):
            while (end := self._held.find(_END + _END)) < 0:
                if len(self._held) > _MAX_HEAD:
                    raise ProtocolError("an answer's head does not end")
                self._held += self._receive()
            head, self._held = self._held[:end], self._held[end + 4 :]
            found = _parse_head(head)
            if found.status not in _INFORMATIONAL:
                return found
        raise ProtocolError("promises of an answer, but none")

    def read_body(self, head: Head, *, longest: int) -> bytes:
        """The body as a whole; one above ``longest`` bytes is an error."""
        parts, size = [], 0
        for part in self.read_parts(head):
            size += len(part)
            if size > longest:
                raise ProtocolError(f"answer above {longest} bytes")
            parts.append(part)
        return b"".join(parts)

    def read_parts(self, head: Head) -> Iterator[bytes]:
        """The body as it comes."""
        if head.chunked:
            while (size := self._read_size()) > 0:
                yield from self._read(size)
                if self._read_line():
                    raise ProtocolError("a chunk is longer than it says")
            while self._read_line():
                pass
        elif head.length is not None:
            yield from self._read(head.length)
        else:
            yield from self._read_rest()

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            part = self._held or self._receive()
            part, self._held = part[:size], part[size:]
            size -= len(part)
            yield part

    def _read_rest(self) -> Iterator[bytes]:
        if self._held:
            yield self._held
            self._held = b""
        while True:
            self._limit()
            part = self._sock.recv(_RECEIVE)
            if not part:
                return
            yield part

    def _read_size(self) -> int:
        match = _SIZE.fullmatch(self._read_line())
        if match is None:
            raise ProtocolError("a chunk without a size")
        return int(match[1], 16)

    def _read_line(self) -> bytes:
        while (end := self._held.find(_END)) < 0:
            if len(self._held) > _MAX_HEAD:
                raise ProtocolError("a line does not end")
            self._held += self._receive()
        line, self._held = self._held[:end], self._held[end + 2 :]
        return line

    def _receive(self) -> bytes:
        self._limit()
        part = self._sock.recv(_RECEIVE)
        if not part:
            raise ProtocolError("the connection has ended before the answer")
        return part

    def _limit(self) -> None:
        if self._until is None:
            return
        left = self._until - time.monotonic_ns()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left / NS_PER_S)


def _parse_head(head: bytes) -> Head:
    first, *lines = head.split(_END)
    match = _STATUS.fullmatch(first)
    if match is None:
        raise ProtocolError("what was answered is not HTTP")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, text = line.partition(b":")
        name, text = name.lower(), text.strip(b" \t")
        if not colon or (name == b"content-length" and fields.get(name, text) != text):
            raise ProtocolError("an answer's head cannot be understood")
        fields[name] = text
    status = int(match[2])
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None and (coding.lower() != b"chunked" or length is not None):
        raise ProtocolError("an answer's length cannot be understood")
    if length is not None and not _LENGTH.fullmatch(length):
        raise ProtocolError("an answer's length is no number")
    bare = status in _INFORMATIONAL or status in _WITHOUT_BODY
    told = bare or coding is not None or length is not None
    ends = fields.get(b"connection", b"").lower()
    return Head(
        status=status,
        length=0 if bare else None if length is None else int(length),
        chunked=coding is not None and not bare,
        kept=told and ends != b"close" and match[1] == b"1",
    )
