"""Whether rubicante could offer SCHED_DEADLINE, and in which root domains."""

from fractions import Fraction

from daemons.rubicante.mechanisms.deadline.discovery import FAIR_SERVER
from k40s.cpu.model import Domain, Mechanism
from workbench.doctor.facts import Facts
from workbench.doctor.findings import Finding, Level
from workbench.doctor.judgement.view import ON_THE_NODE, sees_node
from workbench.table import as_share

REMOTE_PARTITIONS = (6, 7)
"""The first version with cpuset.cpus.exclusive, which a pod's own partition needs.

Distributions add it to older ones, so what a cgroup shows counts first.
"""
FAIR_SERVERS = (6, 12)
"""The first version that holds back CPU time for ordinary threads from SCHED_DEADLINE."""
_LEAST_SHARE = Fraction(1, 1000)
"""Bandwidths are truncated to 2^-20: what is less is no thread."""


def deadline(facts: Facts) -> Finding:
    """What each CPU has for SCHED_DEADLINE, and whether a core can be a root domain."""
    capacity = deadline_capacity(facts)
    if capacity is None:
        found = "sched_rt_runtime_us is not readable"
        return _finding(Level.UNKNOWN, found, "cannot be judged from here", ON_THE_NODE)
    if capacity <= 0:
        return _finding(
            Level.MISSING,
            "no bandwidth is left to SCHED_DEADLINE",
            "the kernel refuses every such thread (EBUSY)",
            "sysctl -w kernel.sched_rt_runtime_us=950000",
        )
    room = f"{as_share(capacity)} of each CPU"
    if charged := _charged(facts):
        room += f", {as_share(charged)} taken by threads (k40s's as well) where most is"
    if not sees_node(facts):
        found = f"{room}; the node's cpusets are not in sight"
        return _finding(Level.UNKNOWN, found, "cannot be judged from here", ON_THE_NODE)
    if not facts.whole and not facts.cgroups.v1 and facts.cgroups.v2 is None:
        return _finding(
            Level.LIMITS,
            room,
            "for single cores it depends on the cgroup version, which is not known",
            "give --cgroup-version as well",
        )
    return _by_domain(facts, room)


def _by_domain(facts: Facts, room: str) -> Finding:
    match deadline_domain(facts):
        case Domain.PARTITIONED if _is_partitioned(facts):
            return _finding(
                Level.OK,
                f"{room}; load balancing over all CPUs is off",
                "a core can be a root domain of its own, for threads of any pods",
            )
        case Domain.PARTITIONED:
            return _finding(
                Level.LIMITS,
                f"{room}; cgroup v1 cpusets balance load over all CPUs",
                "a thread that is held to one core is refused (EPERM): without your permission it "
                "is offered only where K40S_CPUS names all CPUs of the node",
                "K40S_LOAD_BALANCE_OFF=true for rubicante",
            )
        case Domain.EXCLUSIVE:
            return _finding(
                Level.OK,
                f"{room}; cpuset partitions of cgroup v2",
                "a core becomes a root domain of one pod alone: as many real-time pods as cores in "
                "K40S_CPUS, and one CPU besides them; rubicante needs the component partitions",
            )
        case _:
            return _finding(
                Level.LIMITS,
                f"{room}; no partitions for single cores",
                "one root domain: it is offered only where K40S_CPUS names all CPUs of the node, "
                "and threads migrate between them",
                _for_partitions(facts),
            )


def deadline_capacity(facts: Facts) -> Fraction | None:
    """ΣQ/P that the kernel admits per CPU; None where its limit is not known."""
    limit = facts.scheduler.rt_limit
    if limit is None:
        return None
    limit = Fraction(1) if limit < 0 else limit
    return limit - (FAIR_SERVER if _has_fair_server(facts) else 0)


def deadline_domain(facts: Facts) -> Domain:
    """The best root domains that rubicante can have here, with the operator's permission."""
    cgroups, version = facts.cgroups, facts.kernel.version
    if cgroups.balanced is not None:
        return Domain.PARTITIONED
    can_claim = cgroups.exclusive
    if can_claim is None:
        can_claim = version is not None and version >= REMOTE_PARTITIONS
    has_cpusets = cgroups.v2 is not None and "cpuset" in cgroups.v2
    return Domain.EXCLUSIVE if has_cpusets and can_claim else Domain.SHARED


def _has_fair_server(facts: Facts) -> bool:
    if facts.scheduler.domains:
        return facts.scheduler.has_fair_server
    version = facts.kernel.version
    return version is None or version >= FAIR_SERVERS


def _charged(facts: Facts) -> Fraction:
    """The most that one root domain has given to DEADLINE threads, per CPU."""
    domains = facts.scheduler.domains
    cpus = 1 if _is_partitioned(facts) else max(1, len(domains))
    servers = FAIR_SERVER if _has_fair_server(facts) else Fraction(0)
    charged = max((one.total / cpus for one in domains.values()), default=servers) - servers
    return charged if charged >= _LEAST_SHARE else Fraction(0)


def _is_partitioned(facts: Facts) -> bool:
    return facts.cgroups.balanced is not None and "/" not in facts.cgroups.balanced


def _for_partitions(facts: Facts) -> str:
    if facts.kernel.is_set("CPUSETS") is False:
        return "needs another kernel: CONFIG_CPUSETS=y"
    if facts.cgroups.v2 is not None and "cpuset" in facts.cgroups.v2:
        return "needs another kernel: 6.7 or newer, for partitions of single pods"
    return "mount cgroup v2 with the cpuset controller, or the v1 cpuset hierarchy"


def _finding(level: Level, found: str, consequence: str, remedy: str = "") -> Finding:
    return Finding(
        subject=Mechanism.DEADLINE.value,
        level=level,
        found=found,
        consequence=consequence,
        remedy=remedy,
    )
