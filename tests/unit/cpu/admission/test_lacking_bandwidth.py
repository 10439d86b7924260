"""How much bandwidth others have to give back before a pod may fit."""

from dataclasses import replace
from fractions import Fraction

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.necessary_condition import find_lacking_bandwidth, may_fit
from k40s.cpu.model import CpuNode, Mechanism, PodDemand
from k40s.cpu.outcome import Admission
from tests.oracles.pods import empty_node, pod_of


def lacking(node: CpuNode, demand: PodDemand) -> Fraction:
    return find_lacking_bandwidth(core_utilizations=node.utilizations(), node=node, demand=demand)


def fits(node: CpuNode, demand: PodDemand) -> bool:
    return may_fit(core_utilizations=node.utilizations(), node=node, demand=demand) is None


def test_an_empty_node_lacks_nothing() -> None:
    assert lacking(empty_node(4), pod_of("new")) == 0


def test_what_a_full_node_lacks_is_no_more_than_what_makes_room() -> None:
    node = replace(empty_node(1), node_capacity=Fraction(1, 4), core_capacity=Fraction(1, 4))
    held = []
    while isinstance(outcome := admit(node, pod_of(f"held-{len(held)}")), Admission):
        node = outcome.node
        held.append(outcome.granted[0].server.bandwidth)
    demand = pod_of("new")

    assert held
    assert not fits(node, demand)
    assert 0 < lacking(node, demand) <= held[0]
    assert fits(node.without("held-0"), demand)
    assert lacking(node.without("held-0"), demand) == 0


def test_what_bandwidth_cannot_cure_lacks_nothing() -> None:
    demand = replace(pod_of("new"), mechanism=Mechanism.DEADLINE)

    assert not fits(empty_node(1), demand)
    assert lacking(empty_node(1), demand) == 0
