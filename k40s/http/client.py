"""The HTTP client of all processes: node API, Kubernetes API server, readiness of a server.

Built on the standard library's ``http.client``: urllib3 takes twice the CPU for the same request,
and 1 MB of memory in each process.
"""

import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from k40s.errors import UnavailableError
from k40s.http.connection_pool import (
    Connection,
    ConnectionPool,
    DeadlineSocket,
    Origin,
    Proxy,
    split_url,
)
from k40s.http.tls import ClientTls, RenewingContext, TlsFiles, client_context
from k40s.units import NS_PER_S, Nanoseconds

_MAX_ANSWER = 1 << 20
_MAX_TEXT = 200
_READ_AT_ONCE = 65_536
_TOKEN_KNOWN_FOR_NS = 10 * NS_PER_S
_JSON: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class UnreachableError(UnavailableError):
    """No connection came about: refused, no route, no such name. Nothing was sent."""


class UntrustedError(UnavailableError):
    """TLS failed: one side does not accept the other's certificate. Nothing was served."""


class LateError(UnavailableError):
    """The peer took the connection, and its answer was not complete in time."""


class AnswerTooLongError(UnavailableError):
    """An answer has more bytes than are read into memory: less of it should be asked for."""


class HttpClient:
    """Calls HTTP servers over kept connections. Any thread may call.

    No request is ever repeated: whether one that failed has arrived is unknown. A kept connection
    that the server has closed is not used. Renewed TLS files are used from the next call on, and a
    renewed token within 10 s. Redirects are answers like others.
    """

    def __init__(
        self,
        *,
        timeout: Nanoseconds,
        base_url: str = "",
        tls: TlsFiles | ClientTls | None = None,
        server_name: str | None = None,
        authorization: Callable[[], str] | None = None,
        proxy: Proxy | None = None,
        max_idle: int = 4,
        max_answer: int = _MAX_ANSWER,
    ) -> None:
        """``base_url`` is put before each URL. ``authorization`` returns the header's value, or "".

        ``server_name`` is checked instead of the URL's host: daemons are addressed by their pod's
        address, which no certificate can name. ``max_answer`` bounds a body, in bytes. Raises
        ``UnavailableError`` when the TLS files cannot be used.
        """
        self._timeout = timeout
        self._base_url = base_url
        self._context = None if tls is None else RenewingContext(tls, _make_context)
        self._server_name = server_name
        self._authorization = authorization
        self._token: tuple[int, Mapping[str, str]] | None = None
        self._proxy = proxy
        self._max_answer = max_answer
        self._pool = ConnectionPool(max_idle=max_idle)

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: Nanoseconds | None = None,
    ) -> tuple[int, bytes]:
        """Return (status, body), whatever the status. A body is JSON unless ``headers`` say else.

        Raises ``UnavailableError`` when no complete answer comes: ``UnreachableError``,
        ``UntrustedError``, ``LateError`` and ``AnswerTooLongError`` where that is the cause.
        ``timeout`` bounds the call as a whole, however slowly an answer trickles.
        """
        limit = self._timeout if timeout is None else timeout
        deadline = time.monotonic() + limit / NS_PER_S
        call = f"{method} {url}"
        sent = {**self._headers(), **(headers or ({} if body is None else _JSON))}
        with _failures_named(call):
            origin, target = split_url(self._base_url + url)
            context = self._tls_context(origin)
            connection = self._pool.take(origin, context)
            if connection is None:
                connection = self._connect(call, origin, context, deadline)
            try:
                connection.set_deadline(deadline)
                connection.send_request(method, target, body, sent)
                response = connection.getresponse()
                content = _read_body(response, self._max_answer)
            except BaseException:
                connection.close()
                raise
        self._pool.give_back(connection)
        return response.status, content

    @contextmanager
    def stream(
        self, url: str, *, headers: Mapping[str, str] = _NO_HEADERS, silence: Nanoseconds
    ) -> Iterator["Stream"]:
        """GET an answer that arrives line by line, over a connection of its own.

        Raises like ``request``; ``silence`` bounds the time between two parts of the answer.
        """
        call = f"GET {url}"
        sent = {**self._headers(), **headers}
        with _failures_named(call):
            origin, target = split_url(self._base_url + url)
            deadline = time.monotonic() + self._timeout / NS_PER_S
            connection = self._connect(call, origin, self._tls_context(origin), deadline)
        try:
            with _failures_named(call):
                connection.set_silence(silence / NS_PER_S)
                connection.send_request("GET", target, None, sent)
                response = connection.getresponse()
            with response:
                yield Stream(call, response, self._max_answer)
        finally:
            connection.close()

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.clear()

    def _tls_context(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme == "http":
            return None
        if self._context is None:
            raise ValueError("https without TLS files")
        return self._context.get()

    def _connect(
        self, call: str, origin: Origin, context: ssl.SSLContext | None, deadline: float
    ) -> Connection:
        connection = Connection(
            origin, context=context, server_name=self._server_name, proxy=self._proxy
        )
        try:
            try:
                connection.connect_by(deadline)
            except OSError as error:
                raise UnreachableError(f"{call}: {_cause(error)}") from error
            connection.start_tls_by(deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    def _headers(self) -> Mapping[str, str]:
        """The ``Authorization`` header, asked for at most every ten seconds.

        A pod's token is a file that is renewed about every hour, and ``kubernetes`` works out the
        proxy at each question, which costs a sixth of a whole request.
        """
        if self._authorization is None:
            return _NO_HEADERS
        now = time.monotonic_ns()
        known = self._token
        if known is not None and now - known[0] < _TOKEN_KNOWN_FOR_NS:
            return known[1]
        token = self._authorization()
        headers = {"Authorization": token} if token else _NO_HEADERS
        self._token = (now, headers)
        return headers


class Stream:
    """An answer whose body is read as it arrives. Methods raise like ``HttpClient.request``."""

    def __init__(self, call: str, response: http.client.HTTPResponse, max_answer: int) -> None:
        self.status = response.status
        self._call = call
        self._response = response
        self._max_answer = max_answer

    def read(self) -> bytes:
        """The whole body."""
        with _failures_named(self._call):
            return _read_body(self._response, self._max_answer)

    def lines(self) -> Iterator[bytes]:
        """The lines of the body, without their ends, each as soon as it is there."""
        if self._response.length is not None:
            yield from self.read().splitlines()
            return
        rest: list[bytes] = []  # joined once: a line may come in a thousand parts
        length = 0
        while True:
            with _failures_named(self._call):
                received = self._response.read1(_READ_AT_ONCE)
                begin, *further = received.split(b"\n")
                rest.append(begin)
                length += len(begin)
                lines: list[bytes] = []
                if further:
                    lines = [b"".join(rest), *further[:-1]]
                    rest, length = [further[-1]], len(further[-1])
                if length > self._max_answer:
                    raise AnswerTooLongError(f"line above {self._max_answer} bytes")
            yield from lines
            if not received:
                break
        if length:
            yield b"".join(rest)


def _make_context(tls: TlsFiles | ClientTls) -> ssl.SSLContext:
    context = client_context(tls)
    context.sslsocket_class = DeadlineSocket
    return context


def _read_body(response: http.client.HTTPResponse, max_answer: int) -> bytes:
    if response.status < http.client.OK:
        raise http.client.HTTPException(f"{response.status}, and an answer still to come")
    content = response.read(max_answer + 1)
    if len(content) > max_answer:
        raise AnswerTooLongError(f"answer above {max_answer} bytes")
    if response.length:
        raise http.client.IncompleteRead(content, response.length)
    return content


@contextmanager
def _failures_named(call: str) -> Iterator[None]:
    """Turn what sockets and ``http.client`` raise into our errors, with the call's name."""
    try:
        yield
    except AnswerTooLongError as error:
        raise AnswerTooLongError(f"{call}: {error}") from error
    except (http.client.HTTPException, OSError) as error:
        raise _failure(error)(f"{call}: {_cause(error)}") from error
    except ValueError as error:  # whose text may hold a header, and so a token
        raise UnavailableError(f"{call}: no valid HTTP request") from error


def _failure(error: Exception) -> type[UnavailableError]:
    match error:
        case ssl.SSLCertVerificationError():
            return UntrustedError
        case TimeoutError() | ssl.SSLWantReadError():
            return LateError
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return UnavailableError
        case ssl.SSLError():
            return UntrustedError
        case _:
            return UnavailableError


def _cause(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if not text.isprintable():  # it may be what the peer has sent, and goes to a terminal
        text = repr(text)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
