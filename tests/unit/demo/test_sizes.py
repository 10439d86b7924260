"""The story's pods meet on a core as it tells, by each mechanism and at each tick."""

from fractions import Fraction

import pytest

from daemons.rubicante.settings import Settings
from demo.sizes import SIZES
from k40s.cpu.admission.resynthesis import admit_or_exchange
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.tenants.cpus import parse_cpus
from k40s.units import NS_PER_MS, Nanoseconds
from localcluster.settings import ClusterSettings

TICKS = [Nanoseconds(100_000), *(Nanoseconds(ms * NS_PER_MS) for ms in (1, 4))]
CASES = [
    (Mechanism.RT_CGROUP, Nanoseconds(4 * NS_PER_MS)),  # what is measured on it
    *((Mechanism.DEADLINE, tick) for tick in TICKS),
]
DEFAULTS = Settings(node_name="edge-1", pod_ip="10.0.0.1", cpus=(1,))


def node(mechanism: Mechanism, tick: Nanoseconds) -> CpuNode:
    has_groups = mechanism is Mechanism.RT_CGROUP
    offer = DeadlineOffer(tick=tick, capacity=Fraction(9, 10), domain=Domain.PARTITIONED)
    return CpuNode(
        cores=DEFAULTS.cpus,
        tick=tick,
        node_capacity=ClusterSettings().rt_capacity if has_groups else Fraction(0),
        core_capacity=DEFAULTS.core_capacity,
        platform="edge",
        platform_factor=Fraction(1),
        shared_groups=True,
        packing=DEFAULTS.packing,
        hi_reserve=DEFAULTS.reserve,
        deadline=None if has_groups else offer,
    )


def pod(name: str, criticality: Criticality, wcet: int, period: int) -> PodDemand:
    task = Task(
        name=name,
        wcet=Nanoseconds(wcet * NS_PER_MS),
        period=Nanoseconds(period * NS_PER_MS),
        deadline=Nanoseconds(period * NS_PER_MS),
    )
    container = ContainerDemand(container="main", tasks=(task,))
    return PodDemand(pod_uid=name, criticality=criticality, containers=(container,))


def holds(start: CpuNode, *pods: PodDemand) -> CpuNode | None:
    """The node with all of them as it is, without an exchange; None where even that is in vain."""
    for one in pods:
        outcome = admit_or_exchange(start, one)
        if isinstance(outcome, Rejection):
            return None
        assert isinstance(outcome, Admission), f"{one.pod_uid} fits once servers are exchanged"
        start = outcome.node
    return start


@pytest.mark.parametrize(("mechanism", "tick"), CASES)
def test_pods_meet_as_the_story_tells(mechanism: Mechanism, tick: Nanoseconds) -> None:
    sizes = SIZES[mechanism]
    first = pod("control", Criticality.HI, 20, 100)
    second = pod("logger", Criticality.LOW, 5, 400)
    brake = pod("brake", Criticality.HI, sizes.high, 100)
    cameras = [pod(f"camera-{i}", Criticality.LOW, sizes.low, 200) for i in (1, 2)]
    beside = holds(node(mechanism, tick), first, second)
    assert beside is not None

    assert holds(beside, pod("too-much", Criticality.LOW, sizes.too_much, 100)) is None
    assert holds(beside, *cameras) is not None
    assert holds(beside, *cameras, brake) is None
    assert holds(beside, cameras[0], brake) is None
    assert holds(beside, brake) is not None
    assert holds(beside, brake, cameras[0]) is None


@pytest.mark.parametrize("mechanism", list(Mechanism))
def test_one_low_pod_is_within_the_bound_and_two_are_not(mechanism: Mechanism) -> None:
    sizes = SIZES[mechanism]
    share, bound = Fraction(sizes.low, 200), parse_cpus(sizes.bound)

    assert share < bound < 2 * share


def test_every_mechanism_has_sizes() -> None:
    assert set(SIZES) == set(Mechanism)
