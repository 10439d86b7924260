"""Members of a pod group are filtered before any is bound: each sees what others were passed."""

from extender.protocol import refusal_text
from k40s.reasons import Reason
from tests.fakes.extender.full_nodes import publish, rt_pod
from tests.fakes.extender.world import World, make_cpu_node, make_pod

NODES = ["n1", "n2", "n3"]


def member(number: int, wcet: str = "50ms") -> dict[str, object]:
    return in_group(rt_pod(f"g{number}", "HI", wcet))


def in_group(pod: dict[str, object]) -> dict[str, object]:
    spec = pod["spec"]
    assert isinstance(spec, dict)
    return {**pod, "spec": {**spec, "schedulingGroup": {"podGroupName": "gang"}}}


def cluster() -> World:
    world = World()
    for name in NODES:
        publish(world, name, make_cpu_node())
    return world


def test_each_member_is_passed_a_node_of_its_own_where_one_fits_no_two() -> None:
    world = cluster()

    passed = [world.filter(member(number), NODES)["NodeNames"] for number in range(3)]
    fourth = world.filter(member(4), NODES)

    assert sorted(name for names in passed for name in names) == NODES  # type: ignore[attr-defined]  # lists of names
    assert fourth["NodeNames"] == []
    assert fourth["FailedAndUnresolvableNodes"] == dict.fromkeys(
        NODES, refusal_text(Reason.CLAIM_HELD)
    )


def test_members_share_a_node_where_they_fit_together() -> None:
    world = World()
    publish(world, "n1", make_cpu_node())

    passed = [world.filter(member(number, "15ms"), ["n1"])["NodeNames"] for number in range(3)]

    assert passed == [["n1"]] * 3


def test_a_member_that_is_asked_again_does_not_stand_in_its_own_way() -> None:
    world = cluster()

    assert world.filter(member(0), ["n1"])["NodeNames"] == ["n1"]
    assert world.filter(member(0), ["n1"])["NodeNames"] == ["n1"]


def test_what_a_member_was_passed_is_free_again_after_a_moment() -> None:
    world = cluster()
    world.filter(member(0), ["n1"])
    world.clock.advance(6)

    assert world.filter(rt_pod("other", "HI", "50ms"), ["n1"])["NodeNames"] == ["n1"]


def test_a_member_that_no_node_fits_any_more_holds_nothing() -> None:
    world = cluster()
    world.filter(member(0), ["n1"])
    world.filter(member(0, "99ms"), ["n1"])

    assert not world.claims.by_node


def test_a_member_that_is_deleted_holds_nothing() -> None:
    world = cluster()
    world.filter(member(0), ["n1"])
    world.tables.pod_feed.delete("g0")

    assert not world.claims.by_node


def test_all_members_can_be_bound_where_they_were_passed() -> None:
    world = World(node=make_cpu_node(cores=(1, 2, 3)))
    publish(world, "n1", world.node)
    members = [member(number, "25ms") for number in range(2)]
    for one in members:
        assert world.filter(one, ["n1"])["NodeNames"] == ["n1"]

    assert [world.bind(one, "n1") for one in members] == ["", ""]


def test_a_member_without_real_time_tasks_may_go_to_every_node() -> None:
    pod = in_group(make_pod("plain"))

    assert cluster().filter(pod, NODES)["NodeNames"] == NODES
