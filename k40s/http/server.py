"""Serves a WSGI application with gunicorn: one process, threads, TLS, mutual as a rule.

One worker process whatever the environment says (``WEB_CONCURRENCY``), because it is the single
writer of its state and its metrics must stay whole.
"""

import errno
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from k40s.errors import K40sError, UnavailableError
from k40s.http.connections.handshake import (
    OnAuthenticated,
    accept_plain,
    authenticate_by_tls,
    peer_name,
)
from k40s.http.gunicorn_worker import TwoStageWorker, WorkerOptions
from k40s.http.listening import Host, listen
from k40s.http.middleware import MAX_BODY, Guard
from k40s.http.tls import (
    RenewingContext,
    TlsFiles,
    anonymous_server_context,
    server_context,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from k40s.http.connections.nonblocking_io import ConnectionHandler

_GRACE_S = 10
_TRIES = 5
_BETWEEN_TRIES_S = 1.0
_NOBODY: Mapping[str, frozenset[str]] = MappingProxyType({})
_MEMORY = Path("/dev/shm")  # noqa: S108  # a memory file system, for gunicorn's unlinked heartbeat


def serve(
    build: "Callable[[], WSGIApplication]",
    *,
    host: Host,
    port: int,
    tls: TlsFiles | None,
    allowed_clients: frozenset[str] | None = frozenset(),
    restricted: Mapping[str, frozenset[str]] = _NOBODY,
    threads: int = 8,
    max_body: int = MAX_BODY,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, call ``on_stop``, and exit the process.

    ``build`` is called in the worker process: start threads, open stores and make connections
    there, since none of them survives the fork. With ``tls``, a client must present a certificate
    of our CA whose common name is in ``allowed_clients``; one that is in ``restricted`` as well may
    only call the paths named there. None as ``allowed_clients`` asks no client for a certificate.
    Renewed files are used for new connections at once. Raises
    ``UnavailableError`` when the TLS files or the address cannot be used; one of our errors out of
    ``build`` ends the process with its text on stderr.
    """
    make_handler: Callable[[OnAuthenticated], ConnectionHandler] = accept_plain
    if tls is not None:
        make = anonymous_server_context if allowed_clients is None else server_context
        context = RenewingContext(tls, make)
        make_handler = partial(authenticate_by_tls, context.get, allowed_clients)
    allowed = None if tls is None else allowed_clients

    def guarded() -> "WSGIApplication":
        return Guard(
            build(),
            allowed=allowed,
            peer_name=peer_name,
            max_body=max_body,
            restricted=restricted,
        )

    listeners = _listen(host, port)
    settings: dict[str, object] = {
        "bind": [f"fd://{listener.detach()}" for listener in listeners],
        "workers": 1,
        "worker_class": TwoStageWorker,
        "threads": threads,
        "graceful_timeout": _GRACE_S,
        "max_requests": 0,
        "preload_app": False,
        "worker_tmp_dir": str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None,
        "control_socket_disable": True,
        "forwarded_allow_ips": "",
        "http_protocols": "h1",
        "logger_class": _StandardLogger,
        "pre_fork": lambda _arbiter, _worker: _freeze_objects(),
        "worker_exit": lambda _arbiter, _worker: on_stop(),
    }
    if tls is not None:  # the accept loop does the handshake; so that applications see the scheme
        settings |= {"certfile": str(tls.cert), "keyfile": str(tls.key)}
    _Application(
        settings, guarded, WorkerOptions(make_handler=make_handler, max_body=max_body)
    ).run()


def _listen(host: Host, port: int) -> list[socket.socket]:
    """Retries while the process that is being replaced still holds the port."""
    for _ in range(_TRIES - 1):
        try:
            return listen(host, port)
        except UnavailableError as error:
            if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                raise
        time.sleep(_BETWEEN_TRIES_S)
    return listen(host, port)


def _freeze_objects() -> None:
    """Exclude the master's objects from the worker's garbage collection, which would copy them."""
    gc.collect()
    gc.freeze()


class _Application(BaseApplication):
    def __init__(
        self,
        settings: dict[str, object],
        build: "Callable[[], WSGIApplication]",
        options: WorkerOptions,
    ) -> None:
        self._settings = settings
        self._build = build
        self.options = options
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
    """Sends gunicorn's messages through the root logger, as JSON lines."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401  # gunicorn's configuration
        super().setup(cfg)
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)
