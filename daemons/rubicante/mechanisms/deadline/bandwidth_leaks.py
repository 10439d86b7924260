"""Finds DEADLINE bandwidth that the kernel charges to no thread (see ``rebuild_domains``).

Such bandwidth is lost. A sum below what the fair servers have is worse: negative, it counts as very
much, and no thread becomes DEADLINE any more.
"""

import logging
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System, is_readable
from daemons.rubicante.kernel.threads import Threads, is_deadline
from daemons.rubicante.mechanisms.deadline.discovery import FAIR_SERVER, read_bandwidths
from daemons.rubicante.mechanisms.deadline.recount import Rebuild
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)

_SECONDS = 10.0
"""Between two looks: the file takes milliseconds to read."""
_TOLERANCE = Fraction(1, 1000)
"""The kernel rounds each thread's share down to 2^-20."""


class BandwidthLeaks:
    """Compares the kernel's sums with all DEADLINE threads of the machine.

    ``debug`` is the scheduler's directory in debugfs; where it is not readable, nothing is found.
    ``rebuild`` has the kernel count again, or is None. ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        system: System,
        attributes: Attributes,
        threads: Threads,
        proc: Path,
        debug: Path,
        cores: AbstractSet[int],
        domain: Domain,
        rebuild: Rebuild | None,
        clock: MonotonicClock,
    ) -> None:
        self._system = system
        self._attributes = attributes
        self._threads = threads
        self._proc = proc
        self._debug = debug
        self._domains = {
            Domain.SHARED: [frozenset(cores)],
            Domain.PARTITIONED: [frozenset({core}) for core in cores],
            # A core that no pod has for itself lies in the domain of all others.
            Domain.EXCLUSIVE: [],
        }[domain]
        self._rebuild = rebuild
        self._clock = clock
        self._due = 0.0
        self._before = Fraction(0)
        self._logged = Fraction(0)

    def look(self) -> None:
        """Now and then: log each leak once, and repair it where that is possible."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + _SECONDS
        leaked, negative = self.leaked(), self.is_negative()
        if not negative and leaked == self._logged:
            return
        self._logged = leaked
        if not negative and not leaked:
            return
        log.warning(
            "DEADLINE bandwidth leaked in the kernel",
            extra={"leaked": float(leaked), "negative": negative},
        )
        if self._rebuild is not None:
            try:
                self._rebuild()
            except KernelError as error:
                log.warning("root domains not rebuilt", extra={"cause": str(error)})

    def leaked(self) -> Fraction:
        """CPUs that are charged to no thread over two looks; a thread on its way counts in one."""
        found = self._uncharged()
        lasting, self._before = min(found, self._before), found
        return lasting

    def is_negative(self) -> bool:
        """Whether a sum is less than nothing."""
        found = read_bandwidths(self._system, self._debug).values()
        return any(bandwidth.total < 0 for bandwidth in found)

    def _uncharged(self) -> Fraction:
        bandwidths = read_bandwidths(self._system, self._debug)
        known = [cpus for cpus in self._domains if cpus <= bandwidths.keys()]
        fair = (
            FAIR_SERVER if is_readable(self._system, self._debug / "fair_server") else Fraction(0)
        )
        excess = {cpus: bandwidths[min(cpus)].total - fair * len(cpus) for cpus in known}
        if all(charged <= _TOLERANCE for charged in excess.values()):
            return Fraction(0)
        for cpu, share in self._deadline_threads():
            for cpus in excess:
                excess[cpus] -= share if cpu in cpus else 0
        return sum((e for e in excess.values() if e > _TOLERANCE), Fraction(0))

    def _deadline_threads(self) -> Iterator[tuple[int | None, Fraction]]:
        """Last CPU and share of every DEADLINE thread of the machine."""
        for tid in self._tids():
            policy = self._threads.policy(tid)
            if policy is None or not is_deadline(policy[0]):
                continue
            try:
                attr = self._attributes.get(tid)
            except ProcessLookupError:
                continue
            if attr.period:
                yield self._threads.last_cpu(tid), Fraction(attr.runtime, attr.period)

    def _tids(self) -> Iterable[int]:
        for name in self._system.directories(self._proc):
            if not name.isdecimal():
                continue
            try:
                tasks = self._system.directories(self._proc / name / "task")
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield from map(int, tasks)
