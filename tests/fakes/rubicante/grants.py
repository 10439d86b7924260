"""Reservations made by hand, and an admission that grants them."""

from k40s.cpu.model import CpuNode, Mechanism, PodDemand, Reservation, Server, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.world import uid


def grant(
    number: int,
    *names: str,
    core: int = 1,
    group: int | None = 0,
    budget_ms: int = 30,
    period_ms: int = 100,
    container: str = "main",
    highest: int = 90,
    deadline: bool = False,
) -> Reservation:
    """A reservation of pod ``number`` for tasks of these names ("ctl" without any)."""
    period = Nanoseconds(period_ms * NS_PER_MS)
    wcet = Nanoseconds(NS_PER_MS)
    tasks = tuple(
        Task(name=name, wcet=wcet, period=period, deadline=period) for name in names or ("ctl",)
    )
    return Reservation(
        pod_uid=uid(number),
        container=container,
        core=core,
        criticality=Criticality.LOW,
        server=Server(budget=Nanoseconds(budget_ms * NS_PER_MS), period=period),
        tasks=tasks,
        priorities=() if deadline else tuple(highest - i for i in range(len(tasks))),
        mechanism=Mechanism.DEADLINE if deadline else Mechanism.RT_CGROUP,
        group=None if deadline else group,
    )


class HandMade:
    """Grants what the test says; ``others`` replaces reservations that pods hold already."""

    def __init__(self, *granted: Reservation) -> None:
        self.granted: dict[str, list[Reservation]] = {}
        self.others: dict[str, Reservation] = {}
        for reservation in granted:
            self.granted.setdefault(reservation.pod_uid, []).append(reservation)

    def __call__(self, node: CpuNode, demand: PodDemand) -> Admission:
        mine = tuple(self.granted[demand.pod_uid])
        kept = tuple(self.others.get(r.pod_uid, r) for r in node.reservations)
        return Admission(node=node.holding((*kept, *mine)), granted=mine)
