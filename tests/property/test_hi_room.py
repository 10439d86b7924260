"""No LOW pods, whatever they are, keep out the HI pod that a node has room for."""

from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from k40s.admission_plugins.protocol import format_question, parse_question
from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.hi_reserve import reserve_demand
from k40s.cpu.model import (
    MAX_PERIOD,
    MIN_PERIOD,
    ContainerDemand,
    Mechanism,
    PodDemand,
    Server,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds
from tests.oracles.pods import random_large_pod, random_node

EXAMPLES = settings().max_examples
RESERVES = tuple(
    Server(budget=Nanoseconds(wcet * NS_PER_MS), period=Nanoseconds(period * NS_PER_MS))
    for wcet, period in ((20, 100), (2, 20), (100, 1_000))
)


def greedy_pod(chance: Random, uid: str, cores: int) -> PodDemand:
    """A LOW pod that takes one thing or another: bandwidth, deadlines, numbers, priorities."""
    containers = []
    for index in range(chance.choice((1, 1, 2))):
        count = chance.choice((1, 1, 4, 16))
        drawn = [greedy_task(chance, f"t{number}", cores) for number in range(count)]
        containers.append(ContainerDemand(container=f"c{index}", tasks=tuple(drawn)))
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.LOW,
        containers=tuple(containers),
        mechanism=chance.choice((None, None, *Mechanism)),
    )


def greedy_task(chance: Random, name: str, cores: int) -> Task:
    low, high = MIN_PERIOD // NS_PER_US, MAX_PERIOD // NS_PER_US
    period = round(low * (high / low) ** chance.random())
    wcet = chance.choice((1, max(1, period // chance.choice((10, 30, 1_000)))))
    deadline = chance.choice((period, max(wcet, min(period, wcet + chance.randrange(1_000)))))
    return Task(
        name=name,
        wcet=Nanoseconds(wcet * NS_PER_US),
        period=Nanoseconds(period * NS_PER_US),
        deadline=Nanoseconds(deadline * NS_PER_US),
        core=chance.randrange(cores) if chance.random() < 0.1 else None,
    )


def test_no_sequence_of_low_arrivals_refuses_the_hi_pod_that_fits_the_room() -> None:
    fitting = low = 0

    @settings(max_examples=max(40, EXAMPLES))
    @given(st.integers(0, 2**32), st.sampled_from(RESERVES), st.sampled_from((0, 1, 4)))
    def check(seed: int, reserve: Server, tick_ms: int) -> None:
        nonlocal fitting, low
        chance = Random(seed)
        node = replace(random_node(chance, tick_ms), hi_reserve=reserve)
        if chance.random() < 0.3:
            node = replace(node, node_capacity=Fraction(9, 20))
        wanted = reserve_demand(reserve)
        if not isinstance(admit(node, wanted), Admission):
            return
        fitting += 1
        for number in range(12):
            pod = greedy_pod(chance, f"p{number}", len(node.cores))
            if chance.random() < 0.5:
                pod = random_large_pod(chance, f"p{number}", len(node.cores))
                pod = replace(pod, criticality=Criticality.LOW)
            outcome = admit(node, pod)
            if isinstance(outcome, Admission):
                node, low = outcome.node, low + 1
            if node.reservations and chance.random() < 0.2:
                node = node.without(chance.choice(node.reservations).pod_uid)
            arriving = admit(node, replace(wanted, pod_uid="hi"))
            assert isinstance(arriving, Admission), arriving

    check()

    assert fitting > EXAMPLES // 2
    assert low > fitting


@given(st.integers(0, 2**32), st.sampled_from(RESERVES), st.sampled_from((0, 1, 4)))
def test_who_reads_the_published_state_keeps_the_same_room(
    seed: int, reserve: Server, tick_ms: int
) -> None:
    chance = Random(seed)
    node = replace(random_node(chance, tick_ms), hi_reserve=reserve)
    for number in range(3):
        outcome = admit(node, random_large_pod(chance, f"{number:08}", len(node.cores)))
        node = outcome.node if isinstance(outcome, Admission) else node
    state = CpuState(
        generation=1,
        test="any",
        mechanism="rt-cgroup",
        endpoint="https://10.0.0.1:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=node,
        utilization=node.utilizations(),
        complete=True,
    )
    read = parse_cpu_state(format_cpu_state(state))
    event(f"complete: {read.complete}")
    if not read.complete:
        return
    for number in range(3):
        pod = greedy_pod(chance, f"p{number}", len(node.cores))
        assert parse_question(format_question(node, pod)) == (node, pod)
        own, remote = admit(node, pod), admit(read.node, pod)
        assert isinstance(own, Admission) == isinstance(remote, Admission)
        if not isinstance(own, Admission) and not isinstance(remote, Admission):
            assert own.reason is remote.reason
