"""A gunicorn thread worker whose threads stay with a connection as long as it is busy.

gunicorn's own hands a kept-alive connection back to its main loop after each response: two
thread switches, a poller's registration and a future per request, which under CPython's global
lock cost several times what a short answer costs. kube-scheduler asks one question after another
on one connection, so the thread that has just answered waits a moment for the next one.
"""

import select
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_MOMENT_MS = 50
"""How long a thread waits for the next request; then the connection goes back to the main loop."""


class BusyConnectionWorker(ThreadWorker):
    """At most half of the threads wait like this, so that new connections find one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # gunicorn's own
        super().__init__(*args, **kwargs)
        self._waiting = threading.BoundedSemaphore(max(1, self.cfg.threads // 2))

    def handle(self, conn: Any) -> Any:  # noqa: ANN401  # gunicorn's own
        """Answer requests on a connection until it has been silent for a moment.

        Returns what gunicorn's own would: True to keep the connection, False to close it.
        """
        while True:
            kept = super().handle(conn)
            if kept is not True or not self._is_asked_again(conn):
                return kept

    def _is_asked_again(self, conn: Any) -> bool:  # noqa: ANN401  # gunicorn's own
        if not self.alive:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            pending = getattr(conn.sock, "pending", None)
            if pending is not None and pending():
                return True
            poller = select.poll()
            poller.register(conn.sock, select.POLLIN)
            return bool(poller.poll(_MOMENT_MS))
        except (OSError, ValueError):
            return False
        finally:
            self._waiting.release()
