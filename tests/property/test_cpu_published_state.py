"""Who reads a node's published state decides about pods as the node itself does."""

from dataclasses import replace
from random import Random

from hypothesis import event, given
from hypothesis import strategies as st

from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.cpu.outcome import Admission
from k40s.units import NS_PER_S, Nanoseconds
from tests.oracles.pods import nodes, pods, random_large_pod, random_node


def enforced(held: Reservation) -> tuple[object, ...]:
    """All of a reservation that the kernel is told."""
    return held.server, held.priorities, held.core, held.mechanism, held.group


def published(node: CpuNode, *, complete: bool) -> CpuState:
    state = CpuState(
        generation=1,
        test="any",
        mechanism="rt-cgroup",
        endpoint="https://10.0.0.1:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=node,
        utilization=node.utilizations(),
        complete=complete,
    )
    return parse_cpu_state(format_cpu_state(state))


@given(nodes(), st.lists(pods(), max_size=4), pods())
def test_published_and_own_state_give_the_same_verdict(
    node: CpuNode, demands: list[PodDemand], demand: PodDemand
) -> None:
    check(node, demands, demand)


@given(st.integers(0, 2**32), st.sampled_from((0, 1, 4)), st.integers(0, 4))
def test_so_they_do_on_nodes_with_every_mechanism(seed: int, tick_ms: int, earlier: int) -> None:
    chance = Random(seed)
    node = random_node(chance, tick_ms)
    jobs = [random_large_pod(chance, "p", len(node.cores)) for _ in range(earlier + 1)]

    check(node, jobs[1:], jobs[0])


def check(node: CpuNode, demands: list[PodDemand], demand: PodDemand) -> None:
    for number, earlier in enumerate(demands):
        outcome = admit(node, replace(earlier, pod_uid=f"{number:08}"))
        node = outcome.node if isinstance(outcome, Admission) else node
    state = published(node, complete=True)

    own, remote = admit(node, demand), admit(state.node, demand)
    rough = published(node, complete=False)
    verdict = may_fit(core_utilizations=rough.utilization, node=rough.node, demand=demand)

    event(f"complete: {state.complete}, admitted: {isinstance(own, Admission)}")
    if isinstance(own, Admission):
        assert verdict is None
    if not state.complete:
        return
    if isinstance(own, Admission):
        assert isinstance(remote, Admission)
        assert own.granted == remote.granted
        assert list(map(enforced, own.node.reservations)) == list(
            map(enforced, remote.node.reservations)
        )
    else:
        assert not isinstance(remote, Admission)
        assert own.reason is remote.reason
