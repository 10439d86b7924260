"""Claims of clusters on the machine's CPUs, real-time bandwidth and networks. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from localcluster.addresses import MAX_CLUSTERS

RT_BANDWIDTH = Fraction(95, 100)
"""The kernel's share of a CPU for all real-time groups of a machine together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A cluster's claim: an index (addresses, names), CPUs of its real-time node, bandwidth.

    ``general_cpus`` are those of its other nodes, which it shares with other clusters.
    """

    cluster: str
    index: int
    real_time_cpus: tuple[int, ...]
    general_cpus: tuple[int, ...]
    rt_capacity: Fraction

    def describe(self) -> str:
        """Text that helps to decide which cluster to take down."""
        cpus = ",".join(map(str, self.real_time_cpus))
        return (
            f"{self.cluster!r} holds CPU {cpus} for its real-time node "
            f"and {float(self.rt_capacity):g} of the real-time bandwidth"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefusal:
    """Why a cluster does not fit beside those that are up."""

    text: str


def choose_claim(
    *,
    cluster: str,
    held: Sequence[Claim],
    machine_cpus: Sequence[int],
    cpus_wanted: int,
    rt_capacity: Fraction,
    taken_indexes: Collection[int] = (),
    keep_one: bool = False,
) -> Claim | ClaimRefusal:
    """Give a cluster the highest free CPUs, and the first free index.

    ``taken_indexes`` are those whose addresses the machine uses for something else. ``keep_one``
    leaves a CPU to everything else, where the machine has several: real-time nodes take theirs from
    all others then. Of those that are held ``machine_cpus`` may lack some.
    """
    used = {cpu for claim in held for cpu in claim.real_time_cpus}
    machine = set(machine_cpus) | used
    free = sorted(machine - used)[1 if keep_one and len(machine) > 1 else 0 :]
    if len(free) < cpus_wanted:
        rest = ", as one is for everything else" if keep_one and len(machine) > 1 else ""
        need = f"needs {cpus_wanted} CPU of its own, free are {len(free)}{rest}"
        return _refuse(cluster, held, need)
    bandwidth = RT_BANDWIDTH - sum((claim.rt_capacity for claim in held), Fraction(0))
    if bandwidth < rt_capacity:
        need = (
            f"needs {float(rt_capacity):g} of the real-time bandwidth, free is {float(bandwidth):g}"
        )
        return _refuse(cluster, held, need)
    busy = {claim.index for claim in held} | set(taken_indexes)
    index = next((number for number in range(MAX_CLUSTERS) if number not in busy), None)
    if index is None:
        return _refuse(cluster, held, "needs a network 10.77.x.0/24, and all 16 are in use")
    own = free[len(free) - cpus_wanted :]
    return Claim(
        cluster=cluster,
        index=index,
        real_time_cpus=tuple(own),
        general_cpus=_general_cpus(own, used=used, machine=machine),
        rt_capacity=rt_capacity,
    )


def _general_cpus(own: Sequence[int], *, used: set[int], machine: set[int]) -> tuple[int, ...]:
    """CPUs that no real-time node holds; else all but the cluster's own; on one CPU, that one."""
    rest = machine - used - set(own) or machine - set(own) or machine
    return tuple(sorted(rest))


def _refuse(cluster: str, held: Sequence[Claim], need: str) -> ClaimRefusal:
    holders = "; ".join(claim.describe() for claim in held) or "no cluster holds any"
    downs = " or ".join(f"`k40s local down --name {claim.cluster}`" for claim in held)
    advice = f" Make room with {downs}." if held else ""
    return ClaimRefusal(text=f"cluster {cluster!r} {need}: {holders}.{advice}")
