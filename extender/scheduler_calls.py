"""The calls that kube-scheduler waits for, to which a plan gives way.

Python runs one thread at a time, and a plan may compute for seconds.
"""

import threading
from types import TracebackType

from k40s.units import NS_PER_S, Nanoseconds


class SchedulerCalls:
    """Counts calls; ``with calls:`` is one of them. Any thread may use it."""

    def __init__(self) -> None:
        self._idle = threading.Condition()
        self._count = 0

    def __enter__(self) -> None:
        with self._idle:
            self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._idle:
            self._count -= 1
            if not self._count:
                self._idle.notify_all()

    def wait(self, timeout: Nanoseconds) -> bool:
        """Waits until none is left; at once where there is none. Whether it had to wait."""
        if not self._count:
            return False
        with self._idle:
            self._idle.wait_for(lambda: not self._count, timeout / NS_PER_S)
        return True
