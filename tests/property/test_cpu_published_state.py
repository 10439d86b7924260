"""Who reads a node's published state decides about pods as the node itself does."""

from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.cpu.admission import admit, may_fit
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.units import NS_PER_S, Nanoseconds
from tests.oracles.pods import nodes, pods


def published(node: CpuNode, *, complete: bool) -> CpuState:
    state = CpuState(
        generation=1,
        test="any",
        mechanism="rt-cgroup",
        endpoint="https://10.0.0.1:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=node,
        utilization={core: node.utilization(core) for core in node.cores},
        complete=complete,
    )
    return parse_cpu_state(format_cpu_state(state))


@given(nodes(), st.lists(pods(), max_size=4), pods())
def test_published_and_own_state_give_the_same_verdict(
    node: CpuNode, demands: list[PodDemand], demand: PodDemand
) -> None:
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
        assert [(r.server, r.priorities) for r in own.node.reservations] == [
            (r.server, r.priorities) for r in remote.node.reservations
        ]
    else:
        assert not isinstance(remote, Admission)
        assert own.reason is remote.reason
