"""Short ways to write nodes and pods; times in milliseconds."""

from fractions import Fraction

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Reservation, Server, Task
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

HI = Criticality.HI
LOW = Criticality.LOW


def ms(value: float) -> Nanoseconds:
    return Nanoseconds(round(value * NS_PER_MS))


def task(wcet: float, period: float, deadline: float | None = None, name: str = "t") -> Task:
    return Task(
        name=name,
        wcet=ms(wcet),
        period=ms(period),
        deadline=ms(period if deadline is None else deadline),
    )


def pod(uid: str, *containers: list[Task], criticality: Criticality = LOW) -> PodDemand:
    return PodDemand(
        pod_uid=uid,
        criticality=criticality,
        containers=tuple(
            ContainerDemand(container=f"c{index}", tasks=tuple(tasks))
            for index, tasks in enumerate(containers)
        ),
    )


def node(
    *reservations: Reservation,
    cores: int = 1,
    tick: float = 4,
    node_capacity: Fraction | None = None,
    core_capacity: Fraction = Fraction(9, 10),
) -> CpuNode:
    return CpuNode(
        cores=tuple(range(cores)),
        tick=ms(tick),
        node_capacity=Fraction(cores) if node_capacity is None else node_capacity,
        core_capacity=core_capacity,
        platform="any",
        platform_factor=Fraction(1),
        reservations=reservations,
    )


def held(
    uid: str,
    budget: float,
    period: float,
    *tasks: Task,
    priorities: tuple[int, ...],
    core: int = 0,
    criticality: Criticality = LOW,
) -> Reservation:
    return Reservation(
        pod_uid=uid,
        container="c0",
        core=core,
        criticality=criticality,
        server=Server(budget=ms(budget), period=ms(period)),
        tasks=tasks,
        priorities=priorities,
    )


def admitted(current: CpuNode, demand: PodDemand) -> Admission:
    outcome = admit(current, demand)
    assert isinstance(outcome, Admission), outcome
    return outcome


def refused(current: CpuNode, demand: PodDemand) -> Rejection:
    outcome = admit(current, demand)
    assert isinstance(outcome, Rejection), outcome
    return outcome


def budgets(current: CpuNode) -> list[tuple[str, int, int]]:
    """(pod, Q, P) in microseconds."""
    return [
        (r.pod_uid, r.server.budget // NS_PER_US, r.server.period // NS_PER_US)
        for r in current.reservations
    ]
