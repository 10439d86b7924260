"""Serves a WSGI application with gunicorn: one process, threads, mutual TLS.

One worker process whatever the environment says (``WEB_CONCURRENCY``), because it is the single
writer of its state and its metrics must stay whole.
"""

import gc
import logging
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from k40s.errors import K40sError
from k40s.runtime.guard import MAX_BODY, Guard
from k40s.runtime.tls import RenewingContext, TlsFiles, server_context
from k40s.runtime.worker import BusyConnectionWorker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_KEEP_ALIVE_S = 120
"""Above Go's idle timeout of 90 s, so that it is never the server that closes first: the
scheduler does not repeat a POST that met a closing connection."""
_GRACE_S = 10
_HANDSHAKE_S = 5.0
_STALLED_S = 10.0
_MEMORY = Path("/dev/shm")  # noqa: S108  # a memory file system, for gunicorn's unlinked heartbeat


def serve(
    build: "Callable[[], WSGIApplication]",
    *,
    host: str,
    port: int,
    tls: TlsFiles | None,
    allowed_clients: frozenset[str] = frozenset(),
    threads: int = 8,
    max_body: int = MAX_BODY,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, call ``on_stop``, and exit the process.

    ``build`` is called in the worker process: start threads, open stores and make connections
    there, since none of them survives the fork. With ``tls``, a client must present a certificate
    of our CA whose common name is in ``allowed_clients``; renewed files are used for new
    connections at once. Raises ``UnavailableError`` when the TLS files cannot be used; one of our
    errors out of ``build`` ends the process with its text on stderr.
    """
    context = None if tls is None else RenewingContext(tls, _accepting_context)
    allowed = None if tls is None else allowed_clients

    def guarded() -> "WSGIApplication":
        return Guard(build(), allowed=allowed, peer_name=peer_name, max_body=max_body)

    settings: dict[str, object] = {
        "bind": [f"{host}:{port}"],
        "workers": 1,
        "worker_class": BusyConnectionWorker,
        "threads": threads,
        "keepalive": _KEEP_ALIVE_S,
        "graceful_timeout": _GRACE_S,
        "max_requests": 0,
        "preload_app": False,
        "worker_tmp_dir": str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None,
        "control_socket_disable": True,
        "forwarded_allow_ips": "",
        "http_protocols": "h1",
        "logger_class": _StandardLogger,
        "pre_fork": lambda _arbiter, _worker: _rest_collector(),
        "worker_exit": lambda _arbiter, _worker: on_stop(),
    }
    if tls is not None and context is not None:
        settings |= {
            "certfile": str(tls.cert),
            "keyfile": str(tls.key),
            "ca_certs": str(tls.ca),
            "cert_reqs": ssl.CERT_REQUIRED,
            "ssl_context": lambda _config, _default: context.get(),
        }
    _Application(settings, guarded).run()


def _rest_collector() -> None:
    """Let the worker's collector pass by what the master has made: touching it would copy it."""
    gc.collect()
    gc.freeze()


def peer_name(connection: Any) -> str | None:  # noqa: ANN401  # whatever gunicorn hands over
    """The common name of the certificate that the peer has proven to own, or None."""
    return connection.peer_name() if isinstance(connection, ServerSocket) else None


class ServerSocket(ssl.SSLSocket):
    """A connection that remembers who its peer is, and never waits for it without end."""

    _peer_name: str | None = None

    def setblocking(self, flag: bool) -> None:  # the signature of socket
        """Gunicorn's worker threads block on a connection: then for a bounded time only."""
        self.settimeout(_STALLED_S if flag else 0.0)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT002  # as SSLSocket
        """A peer that stalls in the handshake must not hold a thread."""
        self.settimeout(_HANDSHAKE_S)
        super().do_handshake(block)
        self.settimeout(_STALLED_S)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """A peer that stalls has gone, as far as gunicorn is concerned: that is no error to log."""
        try:
            return super().recv(buflen, flags)
        except TimeoutError:
            return b""

    def peer_name(self) -> str | None:
        """The subject's one common name; the handshake has verified the certificate."""
        if self._peer_name is None:
            certificate = self.getpeercert() or {}
            subject: Any = certificate.get("subject", ())
            names = [value for rdn in subject for key, value in rdn if key == "commonName"]
            self._peer_name = names[0] if len(names) == 1 else None
        return self._peer_name


def _accepting_context(files: TlsFiles) -> ssl.SSLContext:
    context = server_context(files)
    context.sslsocket_class = ServerSocket
    return context


class _Application(BaseApplication):
    def __init__(self, settings: dict[str, object], build: "Callable[[], WSGIApplication]") -> None:
        self._settings = settings
        self._build = build
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401  # the stubs have a WSGI type of their own
        try:
            return self._build()
        except K40sError as error:  # what is foreseen ends the process in one line
            raise AppImportError(str(error)) from error


class _StandardLogger(Logger):
    """Gunicorn's messages go where all others go, in the same form."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401  # gunicorn's configuration
        super().setup(cfg)
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)
