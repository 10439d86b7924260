"""The kernel's SCHED_DEADLINE offer, found by probing.

A *root domain* is a set of CPUs over which the kernel balances DEADLINE threads and sums up their
bandwidth. It refuses (EPERM) a thread that may not run on every CPU of its domain, so a thread can
be held to one core only where that core is a domain of its own. Which domains there are is not
written anywhere: a probe thread is made DEADLINE and ordinary again, and the kernel's answers show
it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from daemons.rubicante.kernel.probes.thread import StartProbe
from daemons.rubicante.kernel.rt_bandwidth import read_share
from daemons.rubicante.kernel.sched_attr import LEAST
from daemons.rubicante.kernel.system import System, is_readable, read_if_readable
from k40s.cpu.model import ANY_CORE, DeadlineOffer, Domain
from k40s.errors import KernelError
from k40s.units import Nanoseconds

FAIR_SERVER = Fraction(1, 20)
"""What newer kernels (6.12 and up) hold back on each CPU for ordinary threads: 50 ms in 1 s."""
_UNIT = 1 << 20
"""The kernel's bandwidths are multiples of 2^-20."""


class Partitions(Protocol):
    """A way to make each core a root domain of its own."""

    @property
    def domain(self) -> Domain:
        """PARTITIONED or EXCLUSIVE."""
        ...

    def set_up(self, cores: AbstractSet[int]) -> None:
        """Make the partitions, or what they need; idempotent.

        Raises ``KernelError`` with the reason where the kernel or the operator does not allow it,
        and leaves everything as it was.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineSupport:
    """SCHED_DEADLINE on this node.

    ``offer`` is None where it cannot be used, and ``problems`` say why; they are empty where it
    can. ``warnings`` do not prevent enforcement. ``partitions`` says whether the cores had to be
    made domains of their own: False in a shared domain, and where they are already.
    """

    offer: DeadlineOffer | None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    partitions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainBandwidth:
    """The kernel's DEADLINE bandwidth of the root domain of one CPU.

    ``limit`` is per CPU; ``total`` what is charged to the whole domain, fair servers included.
    """

    limit: Fraction
    total: Fraction


def find_deadline(
    *,
    system: System,
    start_probe: StartProbe,
    proc: Path,
    debug: Path,
    cores: AbstractSet[int],
    tick: Nanoseconds,
    held: Mapping[int, Fraction],
    partitions: Partitions | None,
) -> DeadlineSupport:
    """Ask the kernel, setting up ``partitions`` where that is needed and possible.

    ``cores`` are those that real-time threads may use. ``debug`` is the scheduler's directory in
    debugfs, which need not be readable: without it, a fair server and no foreign DEADLINE thread
    is assumed. Enforcement is at the ``tick``, as without a timer. ``held`` is ΣQ/P by core
    (``ANY_CORE`` in a shared domain) of our own reservations, whose threads may run already.
    Nothing is raised: what fails is a problem or a warning.
    """
    limit = _limit(system, proc)
    if limit is None or limit <= 0:
        return _none("sched_rt_runtime_us leaves no bandwidth to SCHED_DEADLINE")
    if absent := sorted(cores - system.online()):
        return _none(f"CPUs that are not online: {absent}")
    domain, made, cause = _find_domain(system, start_probe, cores, partitions)
    if domain is None:
        return _none(cause)
    bandwidths = read_bandwidths(system, debug)
    has_fair_server = not bandwidths or is_readable(system, debug / "fair_server")
    capacity = _capacity(
        limit - (FAIR_SERVER if has_fair_server else 0), bandwidths, domain, cores, held
    )
    if capacity <= 0:
        return _none("other DEADLINE threads have taken the whole bandwidth")
    offer = DeadlineOffer(
        tick=tick,
        capacity=capacity,
        domain=domain,
        cpus=len(cores) if domain is Domain.SHARED else 1,
    )
    return DeadlineSupport(offer=offer, warnings=(cause,) if cause else (), partitions=made)


def read_bandwidths(system: System, debug: Path) -> dict[int, DomainBandwidth]:
    """CPU → the bandwidth of its root domain, from ``sched/debug``; empty where not readable."""
    found: dict[int, DomainBandwidth] = {}
    figures: dict[str, int] = {}
    cpu = -1
    for line in (read_if_readable(system, debug / "debug") or "").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name.startswith("dl_rq["):
            cpu, figures = int(name[6:-1]), {}
        elif cpu >= 0 and name.startswith(".dl_bw->"):
            figures[name] = int(value)
            if len(figures) == _FIGURES:
                found[cpu] = DomainBandwidth(
                    limit=Fraction(figures[".dl_bw->bw"], _UNIT),
                    total=Fraction(figures[".dl_bw->total_bw"], _UNIT),
                )
    return found


_FIGURES = 2


def has_deadline_threads(system: System, debug: Path, cores: AbstractSet[int]) -> bool:
    """Whether DEADLINE threads are in the root domain that these CPUs are, by ``sched/debug``.

    False where that is not readable, or shows a wrong sum below zero.
    """
    bandwidths = read_bandwidths(system, debug)
    servers = len(cores) * FAIR_SERVER if is_readable(system, debug / "fair_server") else 0
    return any(bandwidths[core].total > servers for core in cores & bandwidths.keys())


def _find_domain(
    system: System, start_probe: StartProbe, cores: AbstractSet[int], partitions: Partitions | None
) -> tuple[Domain | None, bool, str]:
    """The domain, whether partitions were made for it, and why there is no better one.

    A core that is a domain already holds several pods; a pod's own partition would hold one. Those
    of cgroup v1 are always set up, for what keeps a core apart there has to be kept up.
    """
    cause = ""
    of_pods = partitions is not None and partitions.domain is Domain.EXCLUSIVE
    if of_pods and _are_domains(start_probe, cores):
        return (Domain.PARTITIONED, False, "")
    if partitions is not None:
        try:
            partitions.set_up(cores)
        except KernelError as error:
            cause = str(error)
        else:
            return (partitions.domain, True, "")
    if not of_pods and _are_domains(start_probe, cores):
        return (Domain.PARTITIONED, False, "")
    refusal = _ask(start_probe, cores)
    if refusal is None:
        return (Domain.SHARED, False, cause)
    reason = f"SCHED_DEADLINE on CPUs {sorted(cores)}: {refusal}"
    others = system.online() - cores
    if (
        isinstance(refusal, PermissionError)
        and others
        and _ask(start_probe, system.online()) is None
    ):
        reason = f"the root domain has CPUs besides {sorted(cores)}, and cores are not partitioned"
    return (None, False, f"{reason}; {cause}" if cause else reason)


def _are_domains(start_probe: StartProbe, cores: AbstractSet[int]) -> bool:
    """Whether each core is a root domain of its own."""
    return all(_ask(start_probe, {core}) is None for core in cores)


def _ask(start_probe: StartProbe, cores: AbstractSet[int]) -> OSError | None:
    """The kernel's error for DEADLINE on exactly these CPUs; None where it has none."""
    try:
        thread = start_probe(cores)
    except OSError as error:
        return error
    try:
        return thread.attempt(LEAST)
    finally:
        thread.close()


def _capacity(
    granted: Fraction,
    bandwidths: Mapping[int, DomainBandwidth],
    domain: Domain,
    cores: AbstractSet[int],
    held: Mapping[int, Fraction],
) -> Fraction:
    """ΣQ/P that each CPU can take: what the kernel grants, minus what others have of it."""
    if domain is Domain.EXCLUSIVE or not cores <= bandwidths.keys():
        return granted
    if domain is Domain.SHARED:
        known = bandwidths[min(cores)]
        free = known.limit - (known.total - held.get(ANY_CORE, Fraction(0))) / len(cores)
        return min(granted, free)
    return min(
        granted,
        *(bandwidths[c].limit - bandwidths[c].total + held.get(c, Fraction(0)) for c in cores),
    )


def _limit(system: System, proc: Path) -> Fraction | None:
    """The system's limit per CPU; -1 means none, and the whole CPU is left."""
    share = read_share(system, proc / "sys/kernel", "sched_rt")
    return Fraction(1) if share is not None and share < 0 else share


def _none(problem: str) -> DeadlineSupport:
    return DeadlineSupport(offer=None, problems=(problem,))
