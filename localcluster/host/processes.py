"""Supervises the long-running processes of a cluster: start, state, readiness, end.

Each record holds pid, start time and boot id, so that a reused pid is never taken for ours.
"""

import json
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.errors import ComponentFailedError, LocalClusterError

_POLL = 0.05
_TAIL_LINES = 15
_TAIL_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """Identifies one process for as long as the machine runs; ``started`` in clock ticks."""

    pid: int
    started: int
    boot: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """The state of a process that was started."""

    name: str
    pid: int
    running: bool


def parse_record(text: str) -> ProcessRecord | None:
    """Read a record; None when it is not one (a torn write is as good as no process)."""
    try:
        raw = json.loads(text)
        return ProcessRecord(
            pid=int(raw["pid"]),
            started=int(raw["started"]),
            boot=str(raw["boot"]),
            argv=tuple(str(word) for word in raw["argv"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def parse_stat(text: str) -> tuple[str, int]:
    """The state letter and the start time in clock ticks out of ``/proc/<pid>/stat``."""
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


class Supervisor:
    """The processes of one cluster, one name each; records under ``records``.

    ``patience`` is by how much longer than usual to wait until one is ready.
    """

    def __init__(
        self, *, records: Path, logs: Path, proc: Path = Path("/proc"), patience: int = 1
    ) -> None:
        self._records = records
        self._logs = logs
        self._proc = proc
        self.patience = patience
        self._pause = threading.Event()

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        adopt: Callable[[int], None] = lambda _pid: None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start a process unless it runs, and return its pid.

        ``adopt`` is called with the pid of a new process, to put it into its cgroup.
        Standard output and error go to the log of that name; a former log is kept as ``.1``.
        """
        running = self.pid(name)
        if running is not None:
            return running
        words = [str(word) for word in argv]
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self.log(name)
        with suppress(FileNotFoundError):
            log.replace(log.with_suffix(".log.1"))
        try:
            pid = os.posix_spawnp(
                words[0],
                words,
                os.environ if environment is None else environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (
                        os.POSIX_SPAWN_OPEN,
                        1,
                        str(log),
                        os.O_WRONLY | os.O_CREAT | os.O_APPEND,
                        0o640,
                    ),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
        except OSError as error:
            raise LocalClusterError(f"{name} cannot be started: {error}") from error
        self._write(name, pid, words)
        adopt(pid)
        return pid

    def pid(self, name: str) -> int | None:
        """The pid of a supervised process that runs, else None."""
        record = self._read(name)
        return record.pid if record is not None and self._is_alive(record) else None

    def states(self) -> list[ProcessState]:
        """All processes that were started and not stopped, by name."""
        found = []
        for path in sorted(self._records.glob("*.json")):
            record = self._read(path.stem)
            if record is not None:
                alive = self._is_alive(record)
                found.append(ProcessState(name=path.stem, pid=record.pid, running=alive))
        return found

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self._logs / f"{name}.log"

    def wait_ready(
        self,
        name: str,
        is_ready: Callable[[], bool],
        *,
        timeout: float,
        what: str = "ready",
        needs: Sequence[str] = (),
    ) -> None:
        """Wait until ``is_ready``; ``timeout`` in seconds, as long as a usual machine needs.

        Raises ``ComponentFailedError`` as soon as the process, or one of those that it ``needs``,
        has ended, or when time is up.
        """
        timeout *= self.patience
        deadline = time.monotonic() + timeout
        while not is_ready():
            self.check_running([*needs, name])
            if time.monotonic() > deadline:
                raise self.failure(name, f"is not {what} after {timeout:g} s")
            self._pause.wait(_POLL * self.patience)  # asking takes a slow machine's time as well

    def wait_gone(self, name: str, *, timeout: float) -> None:
        """Wait until a process has ended by itself; ``timeout`` in seconds."""
        deadline = time.monotonic() + timeout
        while self.pid(name) is not None:
            if time.monotonic() > deadline:
                raise LocalClusterError(f"{name} still runs after {timeout:g} s")
            self._pause.wait(_POLL)

    def check_running(self, names: Iterable[str]) -> None:
        """Raise ``ComponentFailedError`` for the first of them that does not run."""
        for name in names:
            if self.pid(name) is None:
                raise self.failure(name, "ended")

    def failure(self, name: str, problem: str) -> ComponentFailedError:
        """An error that shows the end of the component's log."""
        log = self.log(name)
        return ComponentFailedError(
            component=name, problem=problem, log=str(log), tail=read_tail(log)
        )

    def stop(self, name: str, *, grace: float = 5) -> None:
        """End a process: SIGTERM, after ``grace`` seconds SIGKILL. Removes its record."""
        record = self._read(name)
        if record is not None and self._is_alive(record):
            self._end(record, grace=grace)
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def _end(self, record: ProcessRecord, *, grace: float) -> None:
        try:
            descriptor = os.pidfd_open(record.pid)
        except ProcessLookupError:
            return
        try:
            # The descriptor names one process for good, so checking after opening is enough.
            if not self._is_alive(record):
                return
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                signal.pidfd_send_signal(descriptor, number)
                if poller.poll(seconds * 1000):
                    break
            self._reap(record.pid)
        finally:
            os.close(descriptor)

    def _is_alive(self, record: ProcessRecord) -> bool:
        self._reap(record.pid)
        try:
            state, started = parse_stat((self._proc / str(record.pid) / "stat").read_text())
        except (OSError, ValueError):
            return False
        return state not in "ZX" and started == record.started and record.boot == self._boot()

    def _reap(self, pid: int) -> None:
        """Collect a child of this very process; all others have another parent that does."""
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def _boot(self) -> str:
        return (self._proc / "sys/kernel/random/boot_id").read_text().strip()

    def _read(self, name: str) -> ProcessRecord | None:
        try:
            return parse_record((self._records / f"{name}.json").read_text())
        except OSError:
            return None

    def _write(self, name: str, pid: int, words: list[str]) -> None:
        _, started = parse_stat((self._proc / str(pid) / "stat").read_text())
        record = ProcessRecord(pid=pid, started=started, boot=self._boot(), argv=tuple(words))
        part = self._records / f"{name}.part"
        part.write_text(json.dumps(asdict(record)))
        part.replace(self._records / f"{name}.json")


def read_tail(log: Path, *, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
