"""The examples on one node with default settings: both fit, in any order, with room for more."""

import dataclasses
import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from daemons.rubicante.settings import Settings
from k40s.annotations import read_workload
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, PodDemand
from k40s.cpu.outcome import Admission
from k40s.cpu.workload import resolve
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

EXAMPLES = Path(__file__).parents[3] / "manifests" / "examples"
TICK = Nanoseconds(4 * NS_PER_MS)
"""HZ = 250: the coarsest that distributions ship."""
DEFAULTS = Settings(node_name="edge-1", pod_ip="10.0.0.1", cpus=(1,))
LOCAL = Fraction(45, 100)
"""What `k40s local` leaves to each of two nodes on one machine."""


def default_node(mechanism: str, capacity: Fraction) -> CpuNode:
    node = CpuNode(
        cores=DEFAULTS.cpus,
        tick=TICK,
        node_capacity=capacity,
        core_capacity=DEFAULTS.core_capacity,
        platform="edge",
        platform_factor=Fraction(1),
        shared_groups=True,
        packing=DEFAULTS.packing,
        hi_reserve=DEFAULTS.reserve,
    )
    if mechanism == "own groups":
        return dataclasses.replace(node, shared_groups=False)
    if mechanism == "containers' groups":
        second = Nanoseconds(NS_PER_S)
        return dataclasses.replace(node, shared_groups=False, ancestor_period=second)
    if mechanism == "shared groups":
        return node
    domain = Domain(mechanism.removeprefix("deadline, "))
    offer = DeadlineOffer(tick=TICK, capacity=Fraction(9, 10), domain=domain)
    return dataclasses.replace(node, deadline=offer)


def demand(name: str, uid: str) -> PodDemand:
    (pod,) = yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text())
    containers = [container["name"] for container in pod["spec"]["containers"]]
    workload = read_workload(
        labels={}, annotations=pod["metadata"]["annotations"], containers=containers
    )
    found = resolve(workload, pod_uid=uid, platform="edge", factor=Fraction(1))
    assert isinstance(found, PodDemand)
    return found


def fill(node: CpuNode, demands: Iterable[PodDemand]) -> CpuNode:
    for one in demands:
        outcome = admit(node, one)
        assert isinstance(outcome, Admission), outcome
        node = outcome.node
    return node


MECHANISMS = [
    "shared groups",
    "own groups",
    "containers' groups",
    *(f"deadline, {domain}" for domain in (Domain.PARTITIONED, Domain.SHARED)),
]


@pytest.mark.parametrize("capacity", [DEFAULTS.rt_capacity, LOCAL])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_both_examples_fit_one_default_node_in_any_order(
    mechanism: str, capacity: Fraction
) -> None:
    demands = [demand("hi-control-loop", "h"), demand("low-video", "l")]

    for order in itertools.permutations(demands):
        node = fill(default_node(mechanism, capacity), order)

        low = [one for one in node.reservations if one.criticality is Criticality.LOW]
        shares = [one.server.bandwidth for one in low]
        assert sum(shares) <= min(capacity, DEFAULTS.core_capacity) / 4  # the rest is for others


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_beside_both_there_is_room_for_another_of_each(mechanism: str) -> None:
    first = [demand("hi-control-loop", "h1"), demand("low-video", "l1")]
    second = [demand("hi-control-loop", "h2"), demand("low-video", "l2")]

    node = fill(default_node(mechanism, DEFAULTS.rt_capacity), [*first, *second])

    assert len(node.reservations) == 4
