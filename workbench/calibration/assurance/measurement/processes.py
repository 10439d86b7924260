"""Starts and ends the experiment's programs.

Each is in a process group of its own, so that Ctrl-C reaches only k40s, which then ends it. They
share k40s's session: in sessions of their own the kernel would give the task as much of the CPU as
all stressors together (``sched_autogroup``). The kernel ends them too when k40s dies without a
chance to do so (``PR_SET_PDEATHSIG``).
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from workbench.calibration.assurance.plan.errors import CalibrationError, StoppedError

_PR_SET_PDEATHSIG = 1
_POLL = 0.05
_TAIL = 300


class Program:
    """A running program; its output goes to a file.

    Raises ``CalibrationError`` where it cannot be started. Start it in the thread that outlives it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        output: Path,
        cpus: Collection[int] = (),
        groups: Collection[Path] = (),
        on_death: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = Path(argv[0]).name
        self._output = output
        parent = os.getpid()
        library = ctypes.CDLL(None)

        def prepare() -> None:
            library.prctl(_PR_SET_PDEATHSIG, int(on_death), 0, 0, 0)
            if os.getppid() != parent:  # which died before it could take this one with it
                os._exit(1)
            if cpus:
                os.sched_setaffinity(0, cpus)
            for group in groups:
                (group / "cgroup.procs").write_text("0", encoding="ascii")

        try:
            with output.open("wb") as stream:
                self._process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                    preexec_fn=prepare,  # noqa: PLW1509  # no other thread runs here
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise CalibrationError(f"{self.name} cannot be started: {error}") from error

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def wait(self, *, seconds: float, stop: threading.Event) -> int | None:
        """Its exit status; None after ``seconds``. Raises ``StoppedError``."""
        end = time.monotonic() + seconds
        while self.status is None and time.monotonic() < end:
            if stop.wait(_POLL):
                raise StoppedError("stopped")
        return self.status

    def end(self, *, grace: float) -> None:
        """Terminate it and all that it started; kill them after ``grace`` seconds."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=60)
        self._signal(signal.SIGKILL)  # whoever of its group is left

    def failure(self) -> CalibrationError:
        """The error for an unexpected end, with the last line that it wrote."""
        return CalibrationError(f"{self.name} ended with status {self.status}: {self.last_line()}")

    def last_line(self) -> str:
        """The last line of its output, shortened."""
        lines = self.output().strip().splitlines()
        return lines[-1][:_TAIL] if lines else "(it wrote nothing)"

    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Caretaker:
    """Removes cgroups and a directory when k40s is done with them, or dead.

    A shell waits for the end of a pipe that k40s holds: kill -9 ends that, too.
    """

    _SCRIPT = """
        cat >/dev/null
        tries=0
        directory=$1; shift
        while [ $tries -lt 600 ]; do
            rm -rf "$directory" 2>/dev/null
            [ -e "$directory" ]; left=$?
            for group; do rmdir "$group" 2>/dev/null; [ ! -e "$group" ] || left=0; done
            [ $left = 0 ] || exit 0
            tries=$((tries + 1))
            sleep 0.1
        done
        exit 1
    """

    def __init__(self, *, groups: Collection[Path], directory: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", self._SCRIPT, "k40s-calibrate", *map(str, (directory, *groups))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._left = " and ".join(map(str, (directory, *groups)))

    def close(self) -> None:
        """Have all removed. Raises ``CalibrationError`` where something is left after 90 s."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            status = self._process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            status = 1
        if status != 0:
            raise CalibrationError(f"could not be removed, look for processes in it: {self._left}")
