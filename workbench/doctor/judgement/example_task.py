"""What admission reserves for one small control loop, as an example of a tick's price."""

from fractions import Fraction

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    Mechanism,
    PodDemand,
    Task,
    total_bandwidth,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds

WCET = Nanoseconds(NS_PER_MS)
PERIOD = Nanoseconds(5 * NS_PER_MS)


def reserved_share(tick: Nanoseconds, mechanism: Mechanism) -> Fraction | None:
    """ΣQ/P of the loop alone on an empty core; None where it is refused."""
    node = CpuNode(
        cores=(0,),
        tick=tick,
        node_capacity=Fraction(1),
        core_capacity=Fraction(9, 10),
        platform="",
        platform_factor=Fraction(1),
    )
    task = Task(name="loop", wcet=WCET, period=PERIOD, deadline=PERIOD)
    demand = PodDemand(
        pod_uid="example",
        criticality=Criticality.LOW,
        containers=(ContainerDemand(container="loop", tasks=(task,)),),
        mechanism=mechanism,
    )
    outcome = admit(node, demand)
    return total_bandwidth(outcome.granted) if isinstance(outcome, Admission) else None
