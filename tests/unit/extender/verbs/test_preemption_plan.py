"""The verb preemption-plan: whom a pod that was refused everywhere may displace."""

import json
from dataclasses import replace

import pytest

from extender.verbs.preemption_plan import PreemptionPlan
from k40s.errors import InvalidInputError
from k40s.kube.records import PodRecord
from k40s.units import NS_PER_S
from tests.fakes.extender.full_nodes import claiming, fill, publish, rt_pod
from tests.fakes.extender.networks import make_stations, make_tdma, slot
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    record_of,
)

HI = rt_pod("hi", "HI", "40ms")
SLOT = [slot(period="64ms")]


def victims(answer: dict[str, object]) -> list[str]:
    found = answer["Victims"]
    assert isinstance(found, list)
    return [one["UID"] for one in found]


def outcome(world: World, **changes: object) -> tuple[object, object, list[str]]:
    answer = world.plan("hi", **changes)  # type: ignore[arg-type]  # tests name what they set
    return answer["Outcome"], answer["Node"], victims(answer)


def planned(world: World, value: str) -> float | None:
    name = "k40s_extender_preemption_plans_total"
    return world.registry.get_sample_value(name, {"outcome": value})


def test_the_least_pods_of_lower_criticality_are_named() -> None:
    world = World()
    fill(world, "a", rt_pod("low1"), rt_pod("low2", wcet="20ms"))
    world.filter(HI, ["a"])

    answer = world.plan("hi")

    assert answer == {
        "Outcome": "plan",
        "Node": "a",
        "Victims": [{"Namespace": "default", "Name": "low1", "UID": "low1", "Criticality": "LOW"}],
        "Error": "",
    }
    assert planned(world, "plan") == 1


def test_the_node_with_fewer_victims_is_chosen_then_the_one_that_gives_back_less() -> None:
    world = World()
    fill(world, "a", *(rt_pod(f"a{number}", wcet="15ms") for number in range(3)))
    fill(world, "b", rt_pod("b1", wcet="50ms"))
    fill(world, "c", rt_pod("c1", wcet="45ms"))
    world.filter(HI, ["a", "b", "c"])

    assert outcome(world) == ("plan", "c", ["c1"])


def test_only_nodes_of_filters_last_call_are_candidates() -> None:
    world = World()
    fill(world, "a", rt_pod("a1", wcet="50ms"))
    fill(world, "c", rt_pod("c1", wcet="40ms"))
    world.filter(HI, ["a", "c"])
    world.filter(HI, ["a"])

    assert outcome(world) == ("plan", "a", ["a1"])


def test_what_this_process_has_not_refused_is_unknown() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="10ms"))
    never = outcome(world)
    world.filter(rt_pod("hi", "HI", "20ms"), ["a"])

    assert never == outcome(world) == ("unknown", "", [])


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "kube-system"},
        {"namespace": "k40s-system"},
        {"priority_class": "system-node-critical"},
        {"annotations": {"kubernetes.io/config.mirror": "x"}},
        {"annotations": {"k40s.io/criticality": "HI"}},
        {"annotations": {"k40s.io/criticality": "high"}},
    ],
)
def test_equal_unreadable_and_system_pods_are_never_victims(change: dict[str, object]) -> None:
    world = World()
    low = rt_pod("low1", wcet="50ms")
    fill(world, "a", low)
    record = record_of(low, node="a")
    fields = {name: getattr(record, name) for name in PodRecord.__dataclass_fields__}
    world.watch_pod(PodRecord(**(fields | change)))
    world.filter(HI, ["a"])

    assert outcome(world) == ("none", "", [])


def test_a_protected_pod_is_no_victim() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    world.filter(HI, ["a"])

    assert outcome(world, protected=["low1"]) == ("none", "", [])


def test_low_does_not_displace_low_and_no_displaces_nobody() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    for pod in (rt_pod("hi", "LOW", "60ms"), make_pod("hi", uid="hi", criticality="NO")):
        world.filter(pod, ["a", "nowhere"])

    assert outcome(world)[0] in ("none", "unknown")


def test_pods_that_are_ending_count_as_gone() -> None:
    world = World()
    low = rt_pod("low1", wcet="50ms")
    fill(world, "a", low)
    world.watch_pod(record_of(low, node="a", deleting=True))
    world.filter(HI, ["a"])

    assert outcome(world) == ("fits", "a", [])


def test_a_pod_that_has_just_gone_still_counts_as_gone_while_its_node_publishes_it() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    fill(world, "b", rt_pod("low2", wcet="50ms"))
    world.filter(HI, ["a", "b"])
    world.tables.pod_feed.delete("low1")
    at_once = outcome(world)
    world.clock.advance(29)
    world.beat("a")
    world.beat("b")
    world.clock.advance(29)
    world.beat("a")
    world.beat("b")
    world.clock.advance(5)

    assert at_once == ("fits", "a", [])
    assert outcome(world) == ("plan", "b", ["low2"])


def test_where_there_is_room_meanwhile_nobody_has_to_go() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    world.filter(HI, ["a"])
    publish(world, "a", make_cpu_node(), generation=2)

    assert outcome(world) == ("fits", "", [])


def test_a_node_that_shows_no_reservations_or_has_a_test_of_its_own_is_left_alone() -> None:
    world = World()
    node = fill(world, "a", rt_pod("low1", wcet="50ms"))
    world.add(make_node("a", level=20, cpu=make_cpu_state(node, complete=False)))
    world.add(make_node("b", level=20, cpu=make_cpu_state(node, test="plant-test.1")))
    world.filter(HI, ["a", "b"])

    assert outcome(world)[0] != "plan"


def test_a_node_of_too_little_assurance_is_no_candidate() -> None:
    world = World()
    node = fill(world, "a", rt_pod("low1", wcet="50ms"))
    world.add(make_node("a", level=8, cpu=make_cpu_state(node)))
    world.filter(HI, ["a"])

    assert outcome(world) == ("none", "", [])


def test_a_member_of_a_group_displaces_nobody() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    spec = HI["spec"]
    assert isinstance(spec, dict)
    world.filter({**HI, "spec": {**spec, "schedulingGroup": {"podGroupName": "gang"}}}, ["a"])

    assert outcome(world) == ("none", "", [])


class Ticking:
    """A clock that stands still until it is given a step for each time it is read."""

    def __init__(self, now: int) -> None:
        self.now, self.step = now, 0

    def __call__(self) -> int:
        self.now += self.step
        return self.now


def test_when_time_is_up_there_is_no_plan() -> None:
    clock = Ticking(World().clock.now)
    world = World(on_clock=clock)
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    world.filter(HI, ["a"])
    clock.step = NS_PER_S

    late = outcome(world)
    clock.step = 0

    assert late == ("none", "", [])
    assert outcome(world) == ("plan", "a", ["low1"])


def test_an_invalid_body_is_refused_and_a_fault_is_told_in_the_reply() -> None:
    world = World()

    for body in (b"{", b"{}", b'{"PodUID":"u","PodNamespace":"n","PodName":"p","Protected":[1]}'):
        with pytest.raises(InvalidInputError):
            world.verbs.preemption_plan(body)
    fault = world.verbs.preemption_plan.fault("not ready")
    assert json.loads(fault or b"") == {
        "Outcome": "unknown",
        "Node": "",
        "Victims": [],
        "Error": "not ready",
    }
    assert PreemptionPlan.name == "preemption-plan"


def test_a_pod_that_never_ends_does_not_keep_others_from_being_displaced() -> None:
    world = World()
    endless = rt_pod("low1", wcet="50ms")
    fill(world, "a", endless)
    fill(world, "b", rt_pod("low2", wcet="50ms"))
    world.watch_pod(record_of(endless, node="a", deleting=True))
    world.filter(HI, ["a", "b"])
    at_first = outcome(world)
    for _ in range(41):
        world.clock.advance(15)
        world.beat("a")
        world.beat("b")

    assert at_first == ("fits", "a", [])
    assert outcome(world) == ("plan", "b", ["low2"])


def test_nodes_of_a_later_call_replace_those_of_the_call_that_refused_all() -> None:
    """The pod fitted on b then, its bind failed, and by now b is full as well."""
    world = World()
    fill(world, "a", rt_pod("a1", wcet="50ms"))
    publish(world, "b", make_cpu_node())
    world.filter(HI, ["a"])
    world.filter(HI, ["b"])
    fill(world, "b", rt_pod("b1", wcet="50ms"))

    assert outcome(world) == ("plan", "b", ["b1"])


def test_a_pod_that_asks_for_something_else_by_now_is_unknown() -> None:
    """Another replica was asked about its newest version."""
    world = World()
    fill(world, "a", rt_pod("low1", wcet="25ms"), rt_pod("low2", wcet="25ms"))
    world.filter(rt_pod("hi", "HI", "60ms"), ["a"])
    world.watch_pod(record_of(HI))

    assert outcome(world) == ("unknown", "", [])
    world.filter(HI, ["a"])
    assert outcome(world)[0] == "plan"


def test_nobody_goes_for_a_pod_whose_tenant_has_claimed_all_that_it_may_have() -> None:
    world = World()
    world.bound_by(make_tenant(hi_pods=1))
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    fill(world, "b", rt_pod("low2", wcet="50ms"))
    second = rt_pod("hi2", "HI", "40ms")
    for pod in (HI, second):
        world.filter(pod, ["a", "b"])
    alone = world.plan("hi2")["Outcome"]
    world.watch_pod(claiming(world, HI, "a", "low1"))
    beside = world.plan("hi2")["Outcome"]
    world.watch_pod(claiming(world, second, "b", "low2"))

    assert (alone, beside) == ("plan", "none")
    assert world.plan("hi")["Outcome"] == "plan"  # of two claims at once the first goes on
    assert world.plan("hi2")["Outcome"] == "none"


def test_what_another_tenant_has_claimed_does_not_count() -> None:
    world = World()
    world.bound_by(make_tenant(hi_pods=1), make_tenant("other", ["elsewhere"], hi_pods=1))
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    fill(world, "b", rt_pod("low2", wcet="50ms"))
    world.filter(HI, ["b"])
    other = claiming(world, rt_pod("hi2", "HI", "40ms"), "a", "low1")
    world.watch_pod(replace(other, namespace="elsewhere"))

    assert outcome(world) == ("plan", "b", ["low2"])


@pytest.mark.parametrize("hi_pods", [1, 0])
def test_a_bound_of_the_tenant_is_no_reason_to_end_pods(hi_pods: int) -> None:
    """Nobody is evicted for a pod that its tenant may not have even so."""
    world = World()
    fill(world, "a", rt_pod("low1"), rt_pod("low2", wcet="20ms"))
    world.bound_by(make_tenant("line", ["default"], hi_pods=hi_pods))
    world.filter(HI, ["a"])

    assert outcome(world) == (("plan", "a", ["low1"]) if hi_pods else ("none", "", []))


def test_nobody_is_ended_where_the_victims_hold_the_tenants_bandwidth() -> None:
    world = World()
    fill(world, "a", rt_pod("low1"), rt_pod("low2", wcet="20ms"))
    world.bound_by(make_tenant("line", ["default"], cpus="0.6"))
    world.filter(HI, ["a"])

    assert outcome(world) == ("none", "", [])


def test_of_more_pods_than_a_search_takes_the_least_critical_are_tried() -> None:
    world = World()
    node = make_cpu_state(make_cpu_node())
    world.add(make_node("a", level=20, cpu=node, stations=make_stations(channels=100)))
    world.declare(make_tdma(nodes=["a", "other"]))
    for number in range(66):
        word = "LOW" if number < 65 else "NO"
        pod = make_pod(f"p{number}", uid=f"p{number}", criticality=word, networks=SLOT)
        assert world.filter(pod, ["a"])["NodeNames"] == ["a"]
        assert world.bind(pod, "a") == ""
        world.watch_networks()
        world.watch_pod(record_of(pod, node="a"))
    full = make_stations(channels=0)
    world.add(make_node("a", level=20, cpu=node, stations=full, resource_version="2"))
    world.filter(make_pod("hi", uid="hi", criticality="HI", networks=SLOT), ["a"])

    assert outcome(world) == ("plan", "a", ["p65"])
