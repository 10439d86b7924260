"""What the controller's informers keep: levels by the extender's rule, and pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.cluster.nodes import Heard, NodeLevel, NodeTable
from controller.cluster.pods import PodTable
from k40s.annotations import ASSURANCE_KEY, format_node_assurance
from k40s.criticality import Criticality
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.records import LeaseRecord, NodeRecord
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.world import FakeClock, World, make_assurance, make_node, make_pod

LEASE = Nanoseconds(30 * NS_PER_S)


class Nodes:
    """Table and Leases on one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.heard = Heard(clock=self.clock.monotonic, wall=self.clock.wall)
        self.table = NodeTable(heard=self.heard, clock=self.clock.monotonic)

    def add(self, name: str, text: str | None, *, alive: bool = True) -> None:
        annotations = {} if text is None else {ASSURANCE_KEY: text}
        record = NodeRecord(name=name, labels={}, annotations=annotations, resource_version="1")
        self.table.upsert(record)
        if alive:
            self.beat(f"malacoda-{name}")

    def beat(self, lease: str) -> None:
        renewed = self.clock.wall()
        self.heard.upsert(LeaseRecord(name=lease, holder="h", renewed=renewed, duration=LEASE))

    def level(self, name: str) -> NodeLevel:
        return self.table.levels()[name]


def published(level: int) -> str:
    return format_node_assurance(make_assurance(level))


def test_a_level_is_known_while_the_lease_is_renewed() -> None:
    nodes = Nodes()
    nodes.add("a", published(13))

    known = nodes.level("a")
    nodes.clock.advance(29.9)
    still = nodes.level("a")
    nodes.clock.advance(0.1)
    silent = nodes.level("a")
    nodes.beat("malacoda-a")

    assert known == still == nodes.level("a") == NodeLevel(level=13)
    assert silent == NodeLevel(level=None, reason=Reason.ASSURANCE_STALE)


@pytest.mark.parametrize(
    ("text", "alive", "reason"),
    [
        (None, True, Reason.ASSURANCE_UNKNOWN),
        ("{", True, Reason.ASSURANCE_INVALID),
        (published(20), False, Reason.ASSURANCE_NO_LEASE),
    ],
)
def test_without_a_valid_level_and_a_lease_it_is_unknown(
    text: str | None,
    alive: bool,
    reason: Reason,  # a parameter
) -> None:
    nodes = Nodes()
    nodes.add("a", text, alive=alive)

    assert nodes.level("a") == NodeLevel(level=None, reason=reason)


@pytest.mark.parametrize("seconds", [0, 29, 30, 31])
@pytest.mark.parametrize("level", [0, 6, 7, 13, 14, 20])
@pytest.mark.parametrize("criticality", ["LOW", "HI"])
def test_the_rule_is_that_of_the_extenders_filter(
    seconds: int, level: int, criticality: str
) -> None:
    nodes, world = Nodes(), World()
    nodes.add("a", published(level))
    world.add(make_node("a", level=level))
    for clock in (nodes.clock, world.clock):
        clock.advance(seconds)

    found = nodes.level("a").level
    needed = {"LOW": 7, "HI": 14}[criticality]
    taken = world.filter(make_pod(criticality=criticality), ["a"])["NodeNames"] == ["a"]

    assert (found is not None and found >= needed) is taken


def test_a_rubicante_that_was_heard_and_is_no_more_is_silent() -> None:
    nodes = Nodes()
    nodes.add("a", published(20))
    nodes.add("b", published(20))
    nodes.beat("rubicante-a")
    nodes.clock.advance(31)
    nodes.beat("malacoda-a")
    nodes.beat("malacoda-b")

    assert nodes.level("a").cpu_silent
    assert not nodes.level("b").cpu_silent  # it never had one


def test_lists_replace_and_deletions_remove() -> None:
    nodes = Nodes()
    for name in ("a", "b", "c"):
        nodes.add(name, published(20))
    record = NodeRecord(name="a", labels={}, annotations={}, resource_version="2")

    nodes.table.replace([record])
    nodes.table.merge([NodeRecord(name="d", labels={}, annotations={}, resource_version="2")])
    nodes.table.delete("a")

    assert set(nodes.table.levels()) == {"d"}


def test_leases_that_a_list_lacks_are_gone_and_those_of_part_of_one_are_not() -> None:
    nodes = Nodes()
    nodes.add("a", published(20))
    other = LeaseRecord(name="malacoda-b", holder="h", renewed=nodes.clock.wall(), duration=LEASE)

    nodes.heard.merge([other])
    kept = nodes.level("a")
    nodes.heard.replace([other])
    gone = nodes.level("a")
    nodes.heard.delete("malacoda-b")

    assert kept.level == 20
    assert gone.reason is Reason.ASSURANCE_NO_LEASE
    assert nodes.heard.expiry("malacoda-b", LEASE) is None


CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str = "p", *, node: str = "a", phase: str = "Running", **meta: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    return {
        "metadata": {
            "uid": f"uid-{name}",
            "namespace": "default",
            "name": name,
            "creationTimestamp": (CREATED + timedelta(seconds=1)).isoformat(),
            "annotations": {"k40s.io/criticality": "HI"},
            **meta,
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}],
        },
        "status": {"phase": phase},
    }


def owned(kind: str, name: str, **labels: str) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "uid": "o", "apiVersion": "v1", "controller": True}
    return {"labels": labels, "ownerReferences": [owner]}


def table(*items: dict[str, Any]) -> PodTable:
    found = PodTable()
    found.replace([managed_pod_record(item) for item in items])
    return found


@pytest.mark.parametrize(
    ("meta", "owner"),
    [
        ({}, "Pod default/p"),
        (
            owned("ReplicaSet", "web-5d4f", **{"pod-template-hash": "5d4f"}),
            "Deployment default/web",
        ),
        (owned("ReplicaSet", "web-5d4f"), "ReplicaSet default/web-5d4f"),
        (
            owned("ReplicaSet", "web-5d4f", **{"pod-template-hash": "other"}),
            "ReplicaSet default/web-5d4f",
        ),
        (owned("StatefulSet", "db", **{"pod-template-hash": "db"}), "StatefulSet default/db"),
    ],
)
def test_a_rollout_makes_no_other_owner(meta: dict[str, Any], owner: str) -> None:
    (placed,) = table(pod(**meta)).view().placed

    assert (placed.owner, placed.criticality) == (owner, Criticality.HI)


@pytest.mark.parametrize(
    "item",
    [
        pod(annotations={}),
        pod(annotations={"k40s.io/criticality": "NO"}),
        pod(annotations={"k40s.io/criticality": "HIGH"}),
        pod(annotations={"k40s.io/criticality": 5}),
        pod(node=""),
        pod(phase="Succeeded"),
        pod(creationTimestamp="?"),
        pod(deletionTimestamp="2026-01-01T00:00:00Z"),
        pod(ownerReferences="?"),
    ],
)
def test_such_pods_are_never_candidates(item: dict[str, Any]) -> None:
    assert table(item).view().placed == []


def test_requests_are_those_of_all_pods_on_a_node() -> None:
    view = table(pod("x"), pod("y", annotations={}), pod("z", node="b")).view()

    assert view.requested_millis() == {"a": 200, "b": 100}


def test_a_pod_that_ends_or_goes_is_forgotten_but_for_one_that_is_being_moved() -> None:
    release = (
        '{"v":1,"phase":"released","at":"2026-01-01T00:00:00Z","node":"a",'
        '"owner":"Deployment default/web","replicaSet":"web-1","replicaSetUid":"u","hash":"1",'
        '"wanted":1}'
    )
    moved = {"k40s.io/criticality": "HI", "status.k40s.io/migration": release}
    found = table(pod("x"), pod("y"), pod("z", annotations=moved))
    for name in ("x", "z"):
        annotations = moved if name == "z" else {}
        found.upsert(managed_pod_record(pod(name, phase="Succeeded", annotations=annotations)))
    found.delete("uid-y")

    view = found.view()

    assert [one.record.pod.name for one in view.released] == ["z"]
    assert view.placed == []
    assert list(view.pods) == ["uid-z"]


def test_an_annotation_of_a_move_that_cannot_be_read_is_no_move() -> None:
    view = table(pod(annotations={"status.k40s.io/migration": "{"})).view()

    assert view.released == []
