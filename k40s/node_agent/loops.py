"""A daemon's loops: one thread each, one stop event, one counter of unforeseen errors."""

import threading

from k40s.runtime.loop import CountError, Period, Tick, run_every, start_thread


class Loops:
    """Starts loops by name and ends them together; ``stop`` is what they wait on."""

    def __init__(self, *, stop: threading.Event, on_error: CountError) -> None:
        self._stop = stop
        self._on_error = on_error
        self._threads: list[threading.Thread] = []

    def start(self, name: str, period: Period, tick: Tick) -> None:
        """Run ``tick`` at once and then each ``period``, in a thread of this name."""

        def loop() -> None:
            run_every(period=period, tick=tick, stop=self._stop, on_error=self._on_error)

        self._threads.append(start_thread(loop, name=name))

    def join(self, seconds: float) -> None:
        """Wait for each loop to end, once ``stop`` is set."""
        for thread in self._threads:
            thread.join(seconds)
