"""Kept connections to HTTP servers, with one absolute deadline for all reads of a call."""

import http.client
import select
import socket
import ssl
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAX_ORIGINS = 1024
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A server: scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int


class Proxy(NamedTuple):
    """An HTTP proxy, which is asked for a tunnel (CONNECT)."""

    host: str
    port: int
    headers: Mapping[str, str]


def split_url(url: str) -> tuple[Origin, str]:
    """A URL's origin, and the rest as it stands. Raises ``ValueError`` where there is no origin."""
    scheme, _, rest = url.partition("://")
    authority, _, target = rest.partition("/")
    return _parse_origin(scheme.lower(), authority), f"/{target}"


@lru_cache(maxsize=_MAX_ORIGINS)
def _parse_origin(scheme: str, authority: str) -> Origin:
    parts = urlsplit(f"{scheme}://{authority}")
    if scheme not in _PORTS or not parts.hostname or parts.netloc != authority:
        raise ValueError("no URL of an HTTP server")
    return Origin(scheme, parts.hostname, parts.port or _PORTS[scheme])


def seconds_left(deadline: float) -> float:
    """Until a deadline by the monotonic clock. Raises ``TimeoutError`` once it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer is not complete in time")
    return left


class DeadlineSocket(ssl.SSLSocket):
    """A TLS socket whose reads share one deadline, however slowly an answer trickles."""

    deadline: float | None = None
    """By the monotonic clock, in seconds; None: the timeout holds for each read."""

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """Raises ``TimeoutError`` at the deadline."""
        if self.deadline is not None:
            self.settimeout(seconds_left(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


class DeadlineTcpSocket(socket.socket):
    """The same without TLS."""

    deadline: float | None = None

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """Raises ``TimeoutError`` at the deadline."""
        if self.deadline is not None:
            self.settimeout(seconds_left(self.deadline))
        return super().recv_into(buffer, nbytes or 0, flags)


class Connection(http.client.HTTPConnection):
    """A connection to one origin, over TLS if there is a ``context``."""

    _tunnel_host: str

    def __init__(
        self,
        origin: Origin,
        *,
        context: ssl.SSLContext | None,
        server_name: str | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        """The server's certificate must carry ``server_name``, by default the origin's host."""
        if proxy is None:
            super().__init__(origin.host, origin.port)
        else:
            super().__init__(proxy.host, proxy.port)
            self.set_tunnel(origin.host, origin.port, dict(proxy.headers))
        self.default_port = _PORTS[origin.scheme]
        self.origin = origin
        self.context = context
        self._server_name = server_name or origin.host
        self._unsent: bytearray | None = None

    def connect_by(self, deadline: float) -> None:
        """Connect TCP, and the proxy's tunnel. Raises ``OSError``."""
        self.timeout = seconds_left(deadline)
        self.connect()
        if self.context is None:
            self.sock = DeadlineTcpSocket(fileno=self.sock.detach())

    def _tunnel(self) -> None:
        """Python before 3.11.9 names an IPv6 host to the proxy without brackets."""
        host = self._tunnel_host
        if ":" in host:
            self._tunnel_host = f"[{host}]"
        try:
            super()._tunnel()  # type: ignore[misc]  # unknown to typeshed
        finally:
            self._tunnel_host = host

    def start_tls_by(self, deadline: float) -> None:
        """Do the handshake, if there is a context. Raises ``OSError``."""
        if self.context is not None:
            self.sock.settimeout(seconds_left(deadline))
            self.sock = self.context.wrap_socket(self.sock, server_hostname=self._server_name)

    def set_deadline(self, deadline: float) -> None:
        """Bound all reads of the call."""
        if isinstance(self.sock, DeadlineSocket | DeadlineTcpSocket):
            self.sock.deadline = deadline
        self.sock.settimeout(seconds_left(deadline))

    def set_silence(self, seconds: float) -> None:
        """Bound each read alone, as a stream needs it."""
        if isinstance(self.sock, DeadlineSocket | DeadlineTcpSocket):
            self.sock.deadline = None
        self.sock.settimeout(seconds)

    def send_request(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> None:
        """Send head and body in one write: two would wake the server twice."""
        self._unsent = bytearray()
        self.request(method, target, body, headers)
        request, self._unsent = self._unsent, None
        self.send(request)

    def send(self, data: Any) -> None:  # noqa: ANN401  # as http.client has it
        """Send at once, but for a request that is still being written."""
        if self._unsent is None:
            super().send(data)
        else:
            self._unsent += data

    def is_usable(self) -> bool:
        """Whether it is open and nothing waits to be read, as it would once the server closes."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


class ConnectionPool:
    """Idle connections by origin, the last used first. Any thread may call."""

    def __init__(self, *, max_idle: int) -> None:
        """``max_idle`` connections to each origin are kept."""
        self._max_idle = max_idle
        self._lock = threading.Lock()
        self._idle: OrderedDict[Origin, list[Connection]] = OrderedDict()
        weakref.finalize(self, _close_all, self._idle)

    def take(self, origin: Origin, context: ssl.SSLContext | None) -> Connection | None:
        """An idle connection that was made with this context; None if there is none."""
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                connection = idle.pop()
            if connection.context is context and connection.is_usable():
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Keep it, or close it if there are enough. Origins unused the longest are dropped."""
        dropped: list[Connection] = []
        with self._lock:
            idle = self._idle.setdefault(connection.origin, [])
            self._idle.move_to_end(connection.origin)
            if connection.sock is not None and len(idle) < self._max_idle:
                idle.append(connection)
            else:
                dropped.append(connection)
            if len(self._idle) > _MAX_ORIGINS:
                dropped += self._idle.popitem(last=False)[1]
        for one in dropped:
            one.close()

    def clear(self) -> None:
        """Close all idle connections."""
        with self._lock:
            _close_all(self._idle)


def _close_all(idle: OrderedDict[Origin, list[Connection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()
