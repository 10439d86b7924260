"""A gunicorn worker of two stages: an accept loop authenticates, a worker pool answers.

Of gunicorn's own workers it uses the base class alone, which is there to be derived from.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gunicorn.workers.base import Worker

from k40s.http.connections.accept_loop import AcceptLoop
from k40s.http.connections.handshake import OnAuthenticated
from k40s.http.connections.http_connection import HttpConnection, TakeOver
from k40s.http.connections.limits import find_connection_limits
from k40s.http.connections.nonblocking_io import ConnectionHandler
from k40s.http.connections.worker_pool import WorkerPool
from k40s.http.connections.wsgi_adapter import handle_request

GUNICORN_MAJOR = 27
"""The major version whose internals (parser, response, base worker) are used."""
HANDSHAKE_TIMEOUT_S = 5.0
"""From accept to the end of authentication."""
_DRAIN_S = 2.0
"""How long a stopping worker answers on kept connections what is already on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The worker's options; they pass through gunicorn's fork with the application."""

    make_handler: Callable[[OnAuthenticated], ConnectionHandler]
    max_body: int


class TwoStageWorker(Worker):
    """Accepts in a thread of its own, and answers in a pool of ``threads``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # gunicorn's own
        super().__init__(*args, **kwargs)
        self._worker_pool: WorkerPool | None = None

    def handle_exit(self, sig: Any, frame: Any) -> None:  # noqa: ANN401  # gunicorn's own
        """SIGTERM: finish what runs."""
        super().handle_exit(sig, frame)
        if self._worker_pool is not None:
            self._worker_pool.wake()

    def run(self) -> None:
        """Serve until a stop signal, or the end of the master process."""
        options: WorkerOptions = self.app.options  # type: ignore[attr-defined]  # our application's
        limits = find_connection_limits()
        worker_pool = self._worker_pool = WorkerPool(
            self._handle,
            threads=self.cfg.threads,
            limit=limits.authenticated,
            max_body=options.max_body,
        )
        accept_loop = AcceptLoop(
            self.sockets,
            options.make_handler(worker_pool.add),
            name="accept",
            limit=limits.unauthenticated,
            timeout=HANDSHAKE_TIMEOUT_S,
        )
        accept_loop.start()
        while self.alive and os.getppid() == self.ppid and accept_loop.is_alive():
            self.notify()
            worker_pool.run_once(1.0)
        accept_loop.stop()
        self._finish(worker_pool)

    def _finish(self, worker_pool: WorkerPool) -> None:
        end = time.monotonic() + self.cfg.graceful_timeout
        worker_pool.drain(time.monotonic() + _DRAIN_S)
        while len(worker_pool) and time.monotonic() < end:
            self.notify()
            worker_pool.run_once(0.1)
        worker_pool.close()
        for listener in self.sockets:
            listener.close()

    def _handle(self, request: bytes, connection: HttpConnection) -> tuple[bytes, bool]:
        def take_over(taker: TakeOver) -> None:
            connection.taker = taker

        return handle_request(
            self.wsgi,
            self.cfg,
            request,
            connection.sock,
            connection.address,
            keep=self.alive,
            on_taken=take_over,
        )
