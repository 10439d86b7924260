"""Laws of admission over random pods and nodes."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.growth import hierarchical_test_holds
from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.analysis.containment import contains
from k40s.cpu.analysis.deferrable_server import deferrable
from k40s.cpu.analysis.response_time import Interference, ServerParameters, TaskParameters
from k40s.cpu.linux import quantize_server, quantize_task, quantize_tick
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from tests.oracles.pods import nodes, pods

SEQUENCES = st.lists(pods(), min_size=1, max_size=6)


def filled(node: CpuNode, demands: list[PodDemand]) -> CpuNode:
    for demand in demands:
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
    return node


@given(nodes(), SEQUENCES)
def test_every_admission_leaves_a_node_that_holds(node: CpuNode, demands: list[PodDemand]) -> None:
    for demand in demands:
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
            assert node_holds(node)
            granted = Counter((r.container, t) for r in outcome.granted for t in r.tasks)
            assert granted == Counter((c.container, t) for c in demand.containers for t in c.tasks)
            for core in node.cores:
                assert node.utilization(core) <= node.core_capacity


@given(nodes(), SEQUENCES, pods())
def test_the_necessary_condition_never_refuses_what_is_admitted(
    node: CpuNode, demands: list[PodDemand], demand: PodDemand
) -> None:
    node = filled(node, demands)
    used = {core: node.utilization(core) for core in node.cores}

    verdict = may_fit(core_utilizations=used, node=node, demand=demand)

    assert verdict is None or not isinstance(admit(node, demand), Admission)


@given(nodes(), SEQUENCES, pods())
def test_others_only_grow_and_keep_period_core_and_order(
    node: CpuNode, demands: list[PodDemand], demand: PodDemand
) -> None:
    before = filled(node, demands).without(demand.pod_uid)
    outcome = admit(before, demand)
    if not isinstance(outcome, Admission):
        return

    after = outcome.node.without(demand.pod_uid)

    for old, new in zip(before.reservations, after.reservations, strict=True):
        assert (old.pod_uid, old.container, old.core) == (new.pod_uid, new.container, new.core)
        assert old.server.period == new.server.period
        assert old.server.budget <= new.server.budget
    for core in before.cores:
        old_order = [(r.pod_uid, r.container) for r in before.on_core(core)]
        assert old_order == [(r.pod_uid, r.container) for r in after.on_core(core)]
    assert node_holds(after)


@given(nodes(), SEQUENCES)
def test_releasing_what_ranks_lowest_restores_the_node(
    node: CpuNode, demands: list[PodDemand]
) -> None:
    for demand in demands:
        node = node.without(demand.pod_uid)
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            touched = {r.core for r in outcome.granted}
            lowest = all(
                outcome.node.on_core(core)[-1].pod_uid == demand.pod_uid for core in touched
            )
            if lowest and len(outcome.granted) == 1:
                restored = outcome.node.without(demand.pod_uid)
                assert [r.server for r in restored.reservations] == [
                    r.server for r in node.reservations
                ]
            node = outcome.node


@given(nodes(), SEQUENCES)
def test_releasing_everything_gives_back_every_microsecond(
    node: CpuNode, demands: list[PodDemand]
) -> None:
    full = filled(node, demands)

    for demand in demands:
        full = full.without(demand.pod_uid)

    assert full == node


@given(nodes(), SEQUENCES, pods())
def test_admitting_again_changes_nothing(
    node: CpuNode, demands: list[PodDemand], demand: PodDemand
) -> None:
    outcome = admit(filled(node, demands), demand)
    if not isinstance(outcome, Admission):
        return

    again = admit(outcome.node, demand)

    assert again == outcome


def served(
    tasks: tuple[TaskParameters, ...], server: ServerParameters, above: Interference, tick: int
) -> bool:
    return hierarchical_test_holds(tasks, server, above, tick) or contains(
        tasks, server, above, tick
    )


@given(nodes(), pods())
def test_one_microsecond_less_would_miss_a_deadline(node: CpuNode, demand: PodDemand) -> None:
    outcome = admit(node, demand)
    if not isinstance(outcome, Admission):
        return

    for reservation in outcome.node.reservations:
        above = tuple(
            deferrable(*quantize_server(r.server))
            for r in outcome.node.on_core(reservation.core)
            if max(r.priorities) > max(reservation.priorities)
        )
        order = sorted(range(len(reservation.tasks)), key=lambda i: -reservation.priorities[i])
        tasks = tuple(quantize_task(reservation.tasks[i]) for i in order)
        budget, period = quantize_server(reservation.server)
        tick = quantize_tick(node)
        if len(demand.containers) == 1:
            assert not served(tasks, (budget - 1, period), above, tick)
        assert served(tasks, (budget, period), above, tick)


@given(nodes(), SEQUENCES)
def test_the_node_capacity_bounds_the_sum_over_all_cores(
    node: CpuNode, demands: list[PodDemand]
) -> None:
    small = CpuNode(
        cores=node.cores,
        tick=node.tick,
        node_capacity=Fraction(45, 100),
        core_capacity=node.core_capacity,
        platform=node.platform,
        platform_factor=node.platform_factor,
    )

    full = filled(small, demands)

    assert sum(full.utilization(core) for core in full.cores) <= Fraction(45, 100)
