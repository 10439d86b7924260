"""The kernel's sum of DEADLINE bandwidth: how it goes wrong, and how it is counted again.

Two of the kernel's faults (seen in 6.12 to 6.18). It forgets to give back what a sleeping thread
had that is taken out of DEADLINE. And if domains are cut while a thread's bandwidth is still
charged after its end (up to one of its periods), it is given back twice: the sum is then less than
nothing, which counts as very much, and every thread is refused (EBUSY). On cgroup v1 domains are
cut whenever a container's cpuset comes or goes.
"""

import errno
import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from daemons.rubicante.kernel.probes.thread import Enter, Probe, StartProbe
from daemons.rubicante.kernel.sched_attr import SchedAttr
from daemons.rubicante.kernel.system import System, Wait
from k40s.errors import KernelError
from k40s.units import parse_cpu_list

log = logging.getLogger(__name__)

GONE_THREAD_SECONDS = 0.5
"""How long EBUSY may mean a thread that has just gone: the kernel counts it until its deadline."""
_RETRY_SECONDS = 0.05
_REBUILD = "rebuild"
_BALANCE = "cpuset.sched_load_balance"


Rebuild = Callable[[], None]
"""Has the kernel count its DEADLINE bandwidth again; raises ``KernelError``."""


def rebuild_domains(system: System, root: Path, prefix: str) -> None:
    """Let the kernel rebuild its root domains, which makes it count DEADLINE bandwidth again.

    ``root`` is cgroup v1's hierarchy of cpusets. Raises ``KernelError`` where they cannot be
    changed.
    """
    path = root / f"{prefix}-{_REBUILD}"
    try:
        cpu = min(parse_cpu_list(system.read(root / "cpuset.cpus").strip()))
        with suppress(FileExistsError):
            system.make_directory(path)
        system.write(path / _BALANCE, "1")
        system.write(path / "cpuset.cpus", str(cpu))
        # Without balancing, the removal does not cut the domains once more, at a later time.
        system.write(path / _BALANCE, "0")
        system.remove_directory(path)
    except (OSError, ValueError) as error:
        raise KernelError(f"rebuilding root domains: {error}") from error


class PatientProbes:
    """Implements ``StartProbe``: takes EBUSY for an answer only where it lasts.

    Each probe waits for ``patience`` seconds, which pass by ``wait``; one that says so ends them.
    ``rebuild`` has the kernel count again, None where nothing can, each time that EBUSY has lasted
    for ``GONE_THREAD_SECONDS``: sooner, it would give back twice what is charged to such a thread.
    Without patience it does so at once, and the next answer stands.
    """

    def __init__(
        self, start_probe: StartProbe, *, rebuild: Rebuild | None, wait: Wait, patience: float
    ) -> None:
        self._start_probe = start_probe
        self._rebuild = rebuild
        self._wait = wait
        self._patience = patience

    def __call__(self, cores: AbstractSet[int], *, enter: Enter | None = None) -> "PatientProbe":
        """As ``StartProbe``."""
        return PatientProbe(self._start_probe(cores, enter=enter), self._insist)

    def _insist(self, probe: Probe, attr: SchedAttr) -> OSError | None:
        waited, due, is_last = 0.0, min(self._patience, GONE_THREAD_SECONDS), False
        while (refusal := probe.attempt(attr)) is not None:
            if refusal.errno != errno.EBUSY or is_last:
                return refusal
            if waited < self._patience:
                if self._wait(_RETRY_SECONDS):
                    return refusal
                waited += _RETRY_SECONDS
            is_last = waited >= self._patience
            if waited >= due:
                due += GONE_THREAD_SECONDS
                self._count_again()
        return None

    def _count_again(self) -> None:
        try:
            if self._rebuild is not None:
                self._rebuild()
        except KernelError as error:
            log.warning("DEADLINE bandwidth not counted again", extra={"cause": str(error)})


class PatientProbe:
    """Implements ``Probe``; ``insist`` attempts for it, as long as its answer may be wrong."""

    def __init__(self, probe: Probe, insist: Callable[[Probe, SchedAttr], OSError | None]) -> None:
        self._probe = probe
        self._insist = insist

    @property
    def tid(self) -> int:
        """Its TID."""
        return self._probe.tid

    def attempt(self, attr: SchedAttr) -> OSError | None:
        """As ``Probe``; EBUSY only where it lasts."""
        return self._insist(self._probe, attr)

    def close(self) -> None:
        """End the thread."""
        self._probe.close()
