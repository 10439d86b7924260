"""A bind takes room of the pod's Tenant first, and gives it back where the bind fails."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.annotations import CRITICALITY_KEY, TASKS_KEY
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from k40s.units import Nanoseconds
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
    record_of,
)

TASKS = '[{"name": "t", "period": "100ms", "wcet": {"edge": "30ms"}}]'


def rt_pod(name: str, *, wcet: str = "20ms", criticality: str = "LOW") -> dict[str, object]:
    return make_pod(name, criticality=criticality, tasks=[make_task(wcet)])


@pytest.fixture
def world() -> World:
    """Two cores, of which the Tenant may have the half of one."""
    node = make_cpu_node(cores=(1, 2))
    world = World(node=node)
    world.add(make_node("a", level=20, cpu=make_cpu_state(node)))
    world.bound_by(make_tenant(cpus="0.5", hi_pods=1))
    return world


def bind(world: World, pod: dict[str, object]) -> str:
    """Filter and bind; what kube-scheduler does after a fit."""
    world.filter(pod, ["a"])
    return world.bind(pod, "a")


def code(error: str) -> str:
    return error.split(":", maxsplit=1)[0]


def test_binds_take_the_tenants_room_until_it_is_used_up(world: World) -> None:
    ends = [bind(world, rt_pod(name)) for name in ("p", "q", "r")]

    assert [code(end) for end in ends] == ["", "", "tenant.bandwidth"]
    assert world.tenants.held() == ["uid-p", "uid-q"]
    assert "reserve uid-r" not in " ".join(world.journal)


def test_filter_says_the_same_of_every_node(world: World) -> None:
    world.add(make_node("b", level=20, cpu=make_cpu_state()))
    for name in ("p", "q"):
        bind(world, rt_pod(name))

    answer = world.filter(rt_pod("r"), ["a", "b"])

    text = f"tenant.bandwidth: {Reason.TENANT_BANDWIDTH.text}"
    assert answer["FailedAndUnresolvableNodes"] == {"a": text, "b": text}
    assert world.dry_run(rt_pod("r"), ["b"])["FailedAndUnresolvableNodes"] == {"b": text}


def test_the_room_of_others_is_their_own(world: World) -> None:
    world.bound_by(make_tenant("other", ["elsewhere"], cpus="0"))

    assert bind(world, rt_pod("p")) == ""


def test_hi_pods_are_counted(world: World) -> None:
    first = bind(world, make_pod("p", criticality="HI"))
    second = bind(world, make_pod("q", criticality="HI"))

    assert (first, code(second)) == ("", "tenant.hi-pods")


def test_a_criticality_is_refused_to_pods_without_tasks_too(world: World) -> None:
    world.bound_by(make_tenant(criticalities=[Criticality.NO]))

    assert code(bind(world, make_pod("p", criticality="LOW"))) == "tenant.criticality"
    assert bind(world, make_pod("q")) == ""


def test_a_pod_that_counts_for_nothing_costs_no_write(world: World) -> None:
    bind(world, make_pod("p", criticality="LOW"))

    assert not [line for line in world.journal if line.startswith("write tenant")]


def test_a_namespace_of_two_tenants_gets_nothing(world: World) -> None:
    world.bound_by(make_tenant("rival", cpus="9"))

    assert code(bind(world, rt_pod("p"))) == "tenant.invalid"


def test_a_node_that_refuses_leaves_nothing_behind(world: World) -> None:
    world.cpu.reserve_reason = Reason.CPU_NO_BANDWIDTH

    assert code(bind(world, rt_pod("p"))) == "cpu.no-bandwidth"
    assert world.tenants.held() == []


def test_an_unknown_binding_keeps_the_entry(world: World) -> None:
    world.pods.fault = UnavailableError("timed out")

    assert code(bind(world, rt_pod("p"))) == "api.silent"
    (entry,) = world.tenants.states["line"].reservations
    assert entry.until is not None


def test_a_repeated_bind_counts_once(world: World) -> None:
    world.pods.fault = UnavailableError("timed out")
    bind(world, rt_pod("p", wcet="40ms"))
    world.pods.fault = None

    assert bind(world, rt_pod("p", wcet="40ms")) == ""
    assert world.tenants.held() == ["uid-p"]


def test_a_repeated_bind_renews_its_entry_and_leaves_it_where_it_fails(world: World) -> None:
    """The pod may be bound with it already."""
    world.pods.fault = UnavailableError("timed out")
    bind(world, rt_pod("p"))
    (before,) = world.tenants.states["line"].reservations
    world.clock.advance(5)
    world.cpu.reserve_reason = Reason.CPU_NO_BANDWIDTH
    bind(world, rt_pod("p"))
    (after,) = world.tenants.states["line"].reservations

    assert before.until is not None
    assert after.until is not None
    assert after.until > before.until
    assert after.attempt != before.attempt


def test_a_pod_that_was_changed_while_it_waited_counts_as_it_is(world: World) -> None:
    world.pods.fault = UnavailableError("timed out")
    bind(world, rt_pod("p", wcet="10ms"))
    world.pods.fault = None

    assert bind(world, rt_pod("p", wcet="30ms")) == ""
    assert [one.bandwidth for one in world.tenants.states["line"].reservations] == [Fraction(3, 10)]


def test_a_conflict_is_decided_on_the_newest_version(world: World) -> None:
    """Another replica takes the rest between this one's decision and its write."""
    other = World(tenants=world.tenants, node=world.node, name="other")
    other.add(make_node("a", level=20, cpu=make_cpu_state(world.node)))
    other.watch_tenants()
    world.watch_tenants()
    rival = iter(["r"])

    def on_call(call: str) -> None:
        name = next(rival, None) if call == "update" else None
        if name is not None:
            assert bind(other, rt_pod(name, wcet="40ms")) == ""

    world.tenants.on_call = on_call

    assert code(bind(world, rt_pod("p"))) == "tenant.bandwidth"
    assert world.tenants.held() == ["uid-r"]


def test_conflicts_without_end_are_given_up(world: World) -> None:
    def on_call(call: str) -> None:
        if call == "update":
            raise ConflictError("409")

    world.tenants.on_call = on_call

    assert code(bind(world, rt_pod("p"))) == "tenant.conflicts"


def test_a_lost_answer_is_looked_up_and_undone(world: World) -> None:
    def on_call(call: str) -> None:
        if call == "updated" and not world.pods.bound:
            world.tenants.on_call = lambda _call: None
            raise UnavailableError("timed out")

    world.tenants.on_call = on_call

    assert code(bind(world, rt_pod("p"))) == "api.silent"
    assert world.tenants.held() == []


def test_pods_from_before_the_tenant_count(world: World) -> None:
    pod = rt_pod("old", wcet="40ms")
    world.watch_pod(record_of(pod, node="a"))

    assert code(bind(world, rt_pod("p"))) == "tenant.bandwidth"


def test_a_pod_that_is_gone_does_not_count(world: World) -> None:
    pod = rt_pod("old", wcet="40ms")
    bind(world, pod)
    world.watch_pod(record_of(pod, node="a"))
    world.watch_pod(record_of(pod, node="a", phase="Succeeded"))

    assert bind(world, rt_pod("p", wcet="40ms")) == ""
    assert world.tenants.held() == ["uid-p"]


def test_a_lowered_bound_touches_nothing_and_refuses_what_is_new(world: World) -> None:
    bind(world, rt_pod("p"))
    world.bound_by(make_tenant(cpus="0.1"))

    assert code(bind(world, rt_pod("q"))) == "tenant.bandwidth"
    assert world.tenants.held() == ["uid-p"]


def test_the_default_holds_for_each_namespace_by_itself(world: World) -> None:
    world.tenants.remove("line")
    world.watch_tenants()
    world.bound_by(make_tenant("default", cpus="0.3"))
    foreign = make_pod_record(
        "far", node="a", annotations={CRITICALITY_KEY: "LOW", TASKS_KEY: TASKS}
    )
    world.watch_pod(replace(foreign, namespace="elsewhere"))

    assert bind(world, rt_pod("p")) == ""
    assert code(bind(world, rt_pod("q"))) == "tenant.bandwidth"


def test_a_tenant_that_goes_takes_its_bounds_with_it(world: World) -> None:
    world.tenants.remove("line")
    world.watch_tenants()

    assert bind(world, rt_pod("p", wcet="80ms")) == ""


def test_a_node_that_does_not_answer_gives_the_room_back(world: World) -> None:
    world.cpu.reserve_fault = DaemonError("refused", reason=Reason.CPU_DAEMON_SILENT, certain=True)

    bind(world, rt_pod("p"))

    assert world.tenants.held() == []


@pytest.mark.parametrize(("cpus", "end"), [("0.4", ""), ("9", "cpu.node-bandwidth")])
def test_a_tenant_at_its_bound_leaves_the_rest_of_the_node_to_others(cpus: str, end: str) -> None:
    """Six pods that would fill both cores, and then a HI pod of a namespace without bounds."""
    node = make_cpu_node(cores=(1, 2), tick=Nanoseconds(0))
    world = World(node=node)
    world.add(make_node("a", level=20, cpu=make_cpu_state(node)))
    world.bound_by(make_tenant("greedy", ["default"], cpus=cpus))
    for number in range(6):
        bind(world, rt_pod(f"greedy-{number}"))
    other = rt_pod("other", wcet="30ms", criticality="HI")
    other["metadata"] = {**other["metadata"], "namespace": "plant"}  # type: ignore[dict-item]
    world.filter(other, ["a"])

    assert code(world.bind(other, "a")) == end


def test_a_tenant_that_changes_hands_meanwhile_lets_the_pod_be_tried_again(world: World) -> None:
    def on_call(call: str) -> None:
        if call == "update":
            world.tenants.on_call = lambda _call: None
            world.tenants.declare(make_tenant(fault="spec: found 1"))

    world.tenants.on_call = on_call

    assert code(bind(world, rt_pod("p"))) == "tenant.invalid"


def test_a_tenant_that_goes_meanwhile_lets_the_pod_be_tried_again(world: World) -> None:
    def on_call(call: str) -> None:
        if call == "update":
            world.tenants.on_call = lambda _call: None
            world.tenants.remove("line")

    world.tenants.on_call = on_call

    assert code(bind(world, rt_pod("p"))) == "tenant.conflicts"


def test_an_entry_that_cannot_be_removed_expires(world: World) -> None:
    calls = iter(["update", "updated"])

    def on_call(_call: str) -> None:
        if next(calls, None) is None:
            raise UnavailableError("timed out")

    world.tenants.on_call = on_call
    world.cpu.reserve_reason = Reason.CPU_NO_BANDWIDTH

    assert code(bind(world, rt_pod("p"))) == "cpu.no-bandwidth"
    assert world.tenants.held() == ["uid-p"]


def test_an_undo_goes_on_after_a_conflict_and_ends_with_its_tenant(world: World) -> None:
    for ends in (False, True):
        calls = iter(["update", "updated", "undo"])

        def on_call(_call: str, *, calls: object = calls, ends: bool = ends) -> None:
            if next(calls, None) == "undo":  # type: ignore[call-overload]
                if ends:
                    world.tenants.remove("line")
                else:
                    raise ConflictError("409")

        world.tenants.on_call = on_call
        world.cpu.reserve_reason = Reason.CPU_NO_BANDWIDTH
        assert code(bind(world, rt_pod("p"))) == "cpu.no-bandwidth"
        assert all(not one.reservations for one in world.tenants.states.values())
