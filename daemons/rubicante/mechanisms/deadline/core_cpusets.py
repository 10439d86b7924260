"""Each core a root domain of its own, by cpusets of cgroup v1.

The kernel cuts its CPUs into domains along the cpusets whose ``cpuset.sched_load_balance`` is on;
those that overlap are joined. So for each core there is one cpuset of our own with balancing on,
and every other cpuset that has one of our cores has it off: the root, kubepods, each container's.
Ordinary threads are then not balanced over our cores any more, which is why an operator has to
permit it. The other CPUs keep a cpuset for themselves, over which they are balanced as before.

Threads are moved in alone (the v1 file ``tasks`` takes a TID); all their other cgroups stay those
of their container. A container that starts brings a new cpuset with balancing on, and joins the
domains again until ``keep`` is called: threads that are DEADLINE already stay so, and stay where
they are, but no other becomes one (EPERM) meanwhile.
"""

import errno
import re
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from daemons.rubicante.kernel.probes.thread import StartProbe
from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.kernel.sched_attr import LEAST
from daemons.rubicante.kernel.system import GONE, System, Wait, read_cpuset
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from k40s.units import parse_cpu_list

_BALANCE = "cpuset.sched_load_balance"
_REST = "rest"
_REMOVAL_TRIES = 20
_RETRY_SECONDS = 0.005


class CorePartitions:
    """The cpusets ``<root>/<prefix>-core-<n>``, and the others' load balancing.

    Every method but ``members`` raises ``KernelError`` where the kernel refuses.
    """

    domain = Domain.PARTITIONED

    def __init__(
        self,
        *,
        system: System,
        root: Path,
        prefix: str,
        saved: SavedValues,
        start_probe: StartProbe,
        wait: Wait = time.sleep,
    ) -> None:
        self._system = system
        self._root = root
        self._prefix = prefix
        self._saved = saved
        self._start_probe = start_probe
        self._wait = wait
        self._name = re.compile(rf"{re.escape(prefix)}-(?:core-(0|[1-9][0-9]*)|{_REST})")
        self._cores: frozenset[int] = frozenset()

    def set_up(self, cores: AbstractSet[int]) -> None:
        """Make the cpusets, switch the others' balancing off, and probe whether that was enough."""
        self._cores = frozenset(cores)
        try:
            memory = self._system.read(self._root / "cpuset.mems").strip()
            for core in sorted(cores):
                self._make(self.path(core), memory, {core})
            others = self._system.online() - cores
            if len(others) > 1:
                self._make(self._root / f"{self._prefix}-{_REST}", memory, others)
            self.keep()
            for core in sorted(cores):
                self._verify(core)
        except (OSError, KernelError) as error:
            self.put_back()
            raise KernelError(f"partitions by cpusets: {error}") from error

    def path(self, core: int) -> Path:
        """The cpuset of a core."""
        return self._root / f"{self._prefix}-core-{core}"

    def cores(self) -> tuple[int, ...]:
        """The cores that have a k40s cpuset in the kernel."""
        found = (self._name.fullmatch(name) for name in self._system.directories(self._root))
        return tuple(sorted(int(match[1]) for match in found if match and match[1]))

    def is_own(self, path: str) -> bool:
        """Whether a path in the hierarchy, as /proc shows it, is a k40s cpuset."""
        return self._name.fullmatch(path.strip("/")) is not None

    def members(self, core: int) -> tuple[int, ...]:
        """TIDs in a core's cpuset: real-time threads, and what they forked."""
        try:
            return tuple(map(int, self._system.read(self.path(core) / "tasks").split()))
        except FileNotFoundError:
            return ()

    def keep(self) -> int:
        """Switch balancing off in every cpuset of others that has one of our cores; how many.

        Cpusets that are gone, as those of former containers, are forgotten.
        """
        switched, present = 0, set()
        for cpuset, cpus in self._foreign(self._root):
            name = str(cpuset.relative_to(self._root))
            present.add(name)
            if cpus & self._cores and read_cpuset(self._system, cpuset / _BALANCE) == "1":
                self._saved.note(name, "1")
                self._write(cpuset / _BALANCE, "0")
                switched += 1
        self._saved.forget(*(self._saved.values().keys() - present))
        return switched

    def move_in(self, core: int, tid: int) -> bool:
        """Move one thread to a core's cpuset; False when it died."""
        return self._move(tid, self.path(core))

    def move_back(self, tid: int, origin: str) -> bool:
        """Move a thread to its container's cpuset (a path in the hierarchy); True if it exists."""
        cpuset = self._root / origin.strip("/")
        if read_cpuset(self._system, cpuset / "cpuset.cpus") is None:
            return False
        self._move(tid, cpuset)
        return True

    def put_back(self) -> bool:
        """Remove our cpusets, then give the others their balancing back; False with threads inside.

        Does nothing where nothing was changed.
        """
        names = filter(self._name.fullmatch, self._system.directories(self._root))
        kept = [name for name in names if not self._remove(self._root / name)]
        if kept:
            return False
        for name, value in self._saved.values().items():
            if read_cpuset(self._system, self._root / name / _BALANCE) not in {None, value}:
                self._write(self._root / name / _BALANCE, value)
            if read_cpuset(self._system, self._root / name / _BALANCE) in {None, value}:
                self._saved.forget(name)
        return True

    def _make(self, path: Path, memory: str, cpus: AbstractSet[int]) -> None:
        with suppress(FileExistsError):
            self._system.make_directory(path)
        for file, value in (
            ("cpuset.mems", memory),
            ("cpuset.cpus", ",".join(map(str, sorted(cpus)))),
            (_BALANCE, "1"),
        ):
            self._system.write(path / file, value)

    def _verify(self, core: int) -> None:
        thread = self._start_probe({core}, enter=lambda tid: self.move_in(core, tid))
        try:
            refusal = thread.attempt(LEAST)
            if isinstance(refusal, PermissionError) and self.keep():  # a container came meanwhile
                refusal = thread.attempt(LEAST)
        finally:
            thread.close()
        if refusal is not None:
            raise refusal

    def _foreign(self, path: Path) -> Iterator[tuple[Path, frozenset[int]]]:
        """Foreign cpusets, with their CPUs; one that vanishes meanwhile is left out."""
        listed = read_cpuset(self._system, path / "cpuset.cpus")
        if listed is None:
            return
        yield path, frozenset(parse_cpu_list(listed) if listed else ())
        try:
            names = self._system.directories(path)
        except FileNotFoundError:
            return
        for name in names:
            if path != self._root or not self._name.fullmatch(name):
                yield from self._foreign(path / name)

    def _remove(self, path: Path) -> bool:
        for attempt in range(_REMOVAL_TRIES):
            if attempt:
                self._wait(_RETRY_SECONDS)
            if read_cpuset(self._system, path / "tasks"):
                continue
            try:
                self._system.remove_directory(path)
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise KernelError(f"rmdir {path.name}: {error}") from error
            else:
                return True
        return False

    def _move(self, tid: int, cpuset: Path) -> bool:
        try:
            self._system.write(cpuset / "tasks", str(tid))
        except ProcessLookupError:
            return False
        except OSError as error:
            raise KernelError(f"moving thread {tid} to cpuset {cpuset.name}: {error}") from error
        return True

    def _write(self, path: Path, value: str) -> None:
        try:
            self._system.write(path, value)
        except OSError as error:
            if error.errno not in GONE:
                raise KernelError(f"{path}: {error}") from error
