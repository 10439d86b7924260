"""A daemon's loop: the one place where an unforeseen exception is caught."""

import logging
import threading
import time
from collections.abc import Callable

from k40s.units import NS_PER_S, Clock, Nanoseconds

_log = logging.getLogger(__name__)

Tick = Callable[[], None]
"""One turn of a loop."""
Period = Nanoseconds | Callable[[], Nanoseconds]
"""Between two ticks; one that may change is asked for after each."""
CountError = Callable[[], None]
"""Counts a failure, as a metric."""


def run_every(
    *,
    period: Period,
    tick: Tick,
    stop: threading.Event,
    on_error: CountError = lambda: None,
    clock: Clock = time.monotonic_ns,
) -> None:
    """Call ``tick`` at once and then each ``period``, until ``stop`` is set.

    A tick that fails is logged and counted (``on_error``), and the next one comes in its turn. A
    tick that takes longer than the period skips the ones it has missed.
    """
    due = clock()
    while not stop.is_set():
        try:
            tick()
        except Exception:  # noqa: BLE001  # once per process: a daemon outlives a bad tick
            _log.exception("tick failed", extra={"tick": getattr(tick, "__qualname__", "")})
            on_error()
        late = clock() - due
        wait = period() if callable(period) else period
        due += wait * max(1, -(-late // wait))
        stop.wait(max(0, due - clock()) / NS_PER_S)


def start_thread(target: Callable[[], None], *, name: str) -> threading.Thread:
    """Run ``target`` in a daemon thread: it must itself end when its stop event is set."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
