"""The RuntimeClass of a pod and the runtimes of nodes, through filter, dry run and bind."""

import threading
from collections.abc import Mapping

import pytest

from extender.protocol import refusal_text
from k40s.criticality import Criticality
from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.world import World, make_cpu_state, make_node, make_pod, record_of

CLASS = refusal_text(Reason.ISOLATION_CLASS)
NO_RUNTIME = refusal_text(Reason.ISOLATION_NO_RUNTIME)
NODES = ["edge-1", "edge-2"]


def make_world(
    *,
    classes: Mapping[Criticality, str] | None = None,
    handler: str = "kata-qemu",
    catch_up_timeout: Nanoseconds = Nanoseconds(0),
) -> World:
    """HI needs the class ``kata``; only edge-1 has its handler."""
    world = World(classes=classes or {Criticality.HI: "kata"}, catch_up_timeout=catch_up_timeout)
    world.add(*(make_node(name, level=20, cpu=make_cpu_state()) for name in NODES))
    world.runtimes.classes.replace([RuntimeClassRecord(name="kata", handler=handler)])
    world.runtimes.nodes.replace(
        [
            NodeRuntimes(name="edge-1", handlers=frozenset({"runc", "kata-qemu"})),
            NodeRuntimes(name="edge-2", handlers=frozenset({"runc"})),
        ]
    )
    return world


@pytest.mark.parametrize("runtime_class", [None, "", "runc", "Kata"])
def test_a_pod_without_the_class_of_its_criticality_is_refused_everywhere(
    runtime_class: str | None,
) -> None:
    answer = make_world().filter(make_pod(criticality="HI", runtime_class=runtime_class), NODES)

    assert answer["NodeNames"] == []
    assert answer["FailedAndUnresolvableNodes"] == dict.fromkeys(NODES, CLASS)


def test_a_pod_with_its_class_fits_where_the_node_has_the_handler() -> None:
    world = make_world()
    pod = make_pod(criticality="HI", runtime_class="kata")

    for answer in (world.filter(pod, NODES), world.dry_run(pod, NODES)):
        assert answer["NodeNames"] == ["edge-1"]
        assert answer["FailedAndUnresolvableNodes"] == {"edge-2": NO_RUNTIME}


def test_a_criticality_that_is_not_mapped_may_use_any_class_anywhere() -> None:
    world = make_world()

    for criticality, runtime_class in ((None, "kata"), ("LOW", None), ("LOW", "unheard-of")):
        pod = make_pod(criticality=criticality, runtime_class=runtime_class)
        assert world.filter(pod, NODES)["NodeNames"] == NODES


def test_a_class_that_does_not_exist_is_on_no_node() -> None:
    world = make_world()
    world.runtimes.classes.delete("kata")

    answer = world.filter(make_pod(criticality="HI", runtime_class="kata"), NODES)

    assert answer["FailedAndUnresolvableNodes"] == dict.fromkeys(NODES, NO_RUNTIME)


def test_a_class_without_a_readable_handler_is_on_no_node() -> None:
    world = make_world(handler="")
    world.runtimes.nodes.upsert(NodeRuntimes(name="edge-2", handlers=frozenset()))

    answer = world.filter(make_pod(criticality="HI", runtime_class="kata"), NODES)

    assert answer["FailedAndUnresolvableNodes"] == dict.fromkeys(NODES, NO_RUNTIME)


def test_a_class_that_returns_counts_with_its_new_handler() -> None:
    world = make_world()
    world.runtimes.classes.delete("kata")
    world.runtimes.classes.upsert(RuntimeClassRecord(name="kata", handler="runc"))

    answer = world.filter(make_pod(criticality="HI", runtime_class="kata"), NODES)

    assert answer["NodeNames"] == NODES


def test_a_node_that_nobody_knows_has_no_runtime() -> None:
    world = make_world(classes={Criticality.NO: "kata"})

    answer = world.filter(make_pod(runtime_class="kata"), [*NODES, "edge-9"])

    assert answer["NodeNames"] == ["edge-1"]
    assert answer["FailedAndUnresolvableNodes"] == {"edge-2": NO_RUNTIME, "edge-9": NO_RUNTIME}


def test_an_incomplete_list_removes_neither_nodes_nor_classes() -> None:
    world = make_world()
    world.runtimes.nodes.merge([NodeRuntimes(name="edge-2", handlers=frozenset({"kata-qemu"}))])
    world.runtimes.classes.merge([RuntimeClassRecord(name="other", handler="runc")])

    assert world.runtimes.nodes_with("kata") == set(NODES)

    world.runtimes.nodes.delete("edge-1")
    world.runtimes.nodes.delete("edge-9")

    assert world.runtimes.nodes_with("kata") == {"edge-2"}


def test_a_heartbeat_of_a_node_wakes_nobody_and_a_new_runtime_does() -> None:
    world = make_world()
    before = world.cache.snapshot().beside

    world.runtimes.nodes.upsert(NodeRuntimes(name="edge-2", handlers=frozenset({"runc"})))
    heard = world.cache.snapshot().beside
    world.runtimes.nodes.upsert(NodeRuntimes(name="edge-2", handlers=frozenset({"kata-qemu"})))

    assert heard == before
    assert world.cache.snapshot().beside == before + 1


def test_a_retry_that_comes_before_the_nodes_new_runtime_waits_for_it() -> None:
    world = make_world(catch_up_timeout=Nanoseconds(20 * NS_PER_S))
    pod = make_pod(criticality="HI", runtime_class="kata")
    refused = world.filter(pod, ["edge-2"])
    world.clock.advance(2)
    new = NodeRuntimes(name="edge-2", handlers=frozenset({"kata-qemu"}))
    late = threading.Thread(target=lambda: world.runtimes.nodes.upsert(new))

    late.start()
    answer = world.filter(pod, ["edge-2"])
    late.join()

    assert refused["NodeNames"] == []
    assert answer["NodeNames"] == ["edge-2"]


def test_bind_refuses_a_pod_whose_criticality_was_raised_after_filter() -> None:
    world = make_world()
    filtered = make_pod(criticality="LOW", resource_version="1")
    world.filter(filtered, NODES)
    raised = make_pod(criticality="HI", resource_version="2")
    world.pods.by_name["default", "pod"] = record_of(raised, resource_version="2")
    world.watch_pod(record_of(raised, resource_version="2"))

    assert world.bind(raised, "edge-1") == CLASS
    assert not world.pods.bound


def test_bind_refuses_a_node_that_lost_the_runtime_after_filter() -> None:
    world = make_world()
    pod = make_pod(criticality="HI", runtime_class="kata")
    assert world.filter(pod, NODES)["NodeNames"] == ["edge-1"]
    world.runtimes.nodes.upsert(NodeRuntimes(name="edge-1", handlers=frozenset({"runc"})))

    assert world.bind(pod, "edge-1") == NO_RUNTIME
    assert not world.pods.bound


def test_bind_takes_the_class_from_whichever_version_of_the_pod_it_finds() -> None:
    pod = make_pod(criticality="HI", runtime_class="kata")
    filtered, watched, asked = make_world(), make_world(), make_world()
    filtered.filter(pod, NODES)
    watched.watch_pod(record_of(pod))
    asked.pods.by_name["default", "pod"] = record_of(pod)

    assert [world.bind(pod, "edge-1") for world in (filtered, watched, asked)] == [""] * 3
