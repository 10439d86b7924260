"""The watched cache: changes in, immutable snapshots out."""

from datetime import timedelta

import pytest

from extender.cache.loads import Loads
from k40s.criticality import Criticality
from k40s.kube.heartbeats import Heartbeats
from k40s.kube.records import LeaseRecord
from k40s.reasons import Reason
from tests.fakes.extender.world import (
    LEASE,
    START,
    FakeClock,
    World,
    make_cpu_state,
    make_node,
    make_pod_record,
)


def lease(name: str, *, age: float = 0, clock: FakeClock | None = None) -> LeaseRecord:
    wall = START if clock is None else clock.wall()
    return LeaseRecord(name=name, holder="", renewed=wall - timedelta(seconds=age), duration=LEASE)


def test_a_snapshot_never_changes() -> None:
    world = World()
    world.add(make_node("a", level=20))
    before = world.cache.snapshot()

    world.add(make_node("b", level=20))
    world.cache.nodes.delete("a")

    assert set(before.nodes) == {"a"}
    assert set(world.cache.snapshot().nodes) == {"b"}


def test_an_unchanged_cache_gives_the_same_snapshot() -> None:
    world = World()
    world.add(make_node("a", level=20))

    assert world.cache.snapshot() is world.cache.snapshot()


def test_a_change_of_pods_alone_keeps_the_tables_of_nodes() -> None:
    world = World()
    world.add(make_node("a", level=20))
    before = world.cache.snapshot()

    world.cache.pods.upsert(make_pod_record("p", node="a", millis=500))
    after = world.cache.snapshot()

    assert after.nodes is before.nodes
    assert after.loads == {"a": 500}


def test_a_listing_drops_nodes_that_are_gone() -> None:
    world = World()
    world.add(make_node("a", level=20), make_node("b", level=20))

    world.cache.nodes.replace([make_node("b", level=3)])

    snapshot = world.cache.snapshot()
    assert set(snapshot.nodes) == {"b"}
    assert snapshot.refused[Criticality.LOW] == {"b": Reason.ASSURANCE_HAZARD}
    assert snapshot.scores[Criticality.HI] == {}


def test_deleting_an_unknown_node_changes_nothing() -> None:
    world = World()
    world.add(make_node("a", level=20))
    before = world.cache.snapshot()

    world.cache.nodes.delete("b")

    assert world.cache.snapshot() is before


def test_a_state_keeps_its_identity_while_its_text_does() -> None:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    before = world.cache.snapshot().nodes["a"].cpu

    world.add(make_node("a", level=18, cpu=make_cpu_state()))
    world.clock.advance(31)
    world.cache.snapshot()
    world.beat("a")
    same = world.cache.snapshot().nodes["a"].cpu
    world.add(make_node("a", level=18, cpu=make_cpu_state(generation=2)))

    assert same is before
    assert world.cache.snapshot().nodes["a"].cpu is not before


def test_an_update_that_is_not_ours_changes_nothing() -> None:
    world = World()
    world.add(make_node("a", level=20))
    before = world.cache.snapshot()

    record = make_node("a", level=20)
    world.cache.nodes.upsert(
        type(record)(
            name="a",
            labels={"other": "x"},
            annotations=dict(record.annotations) | {"volumes.kubernetes.io/attached": "true"},
            resource_version="2",
        )
    )

    assert world.cache.snapshot() is before


def test_renewals_within_the_lease_change_no_snapshot() -> None:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    before = world.cache.snapshot()

    for _ in range(20):
        world.clock.advance(10)
        world.beat("a")
        assert world.cache.snapshot() is before


def test_a_lease_that_is_deleted_makes_its_node_unfit_at_once() -> None:
    world = World()
    world.add(make_node("a", level=20))

    world.cache.leases.delete("malacoda-a")
    world.cache.leases.delete("malacoda-elsewhere")

    assert world.cache.snapshot().refused[Criticality.LOW] == {"a": Reason.ASSURANCE_NO_LEASE}


def test_a_lease_of_something_else_is_ignored() -> None:
    world = World()
    world.cache.leases.upsert(lease("k40s-controller"))
    world.add(make_node("a", level=20), alive=False)

    assert world.cache.snapshot().refused[Criticality.LOW] == {"a": Reason.ASSURANCE_NO_LEASE}


def test_an_old_renewal_in_a_listing_counts_its_age() -> None:
    world = World()
    world.cache.leases.replace([lease("malacoda-a", age=25), lease("malacoda-b", age=31)])
    world.add(make_node("a", level=20), make_node("b", level=20), alive=False)

    at_once = dict(world.cache.snapshot().refused[Criticality.LOW])
    world.clock.advance(6)

    assert at_once == {"b": Reason.ASSURANCE_STALE}
    assert set(world.cache.snapshot().refused[Criticality.LOW]) == {"a", "b"}


def test_a_listing_after_the_nodes_brings_them_to_life() -> None:
    world = World()
    world.add(make_node("a", level=20), alive=False)

    world.cache.leases.replace([lease("malacoda-a")])

    assert world.cache.snapshot().refused[Criticality.LOW] == {}


def test_listing_the_same_renewal_again_does_not_prolong_it() -> None:
    clock = FakeClock()
    beats = Heartbeats(clock=clock.monotonic, wall=clock.wall)
    record = lease("malacoda-a")
    beats.replace([record])
    first = beats.expiry("malacoda-a", LEASE)

    clock.advance(20)
    beats.upsert(record)
    beats.replace([record])

    assert beats.expiry("malacoda-a", LEASE) == first


def test_a_lease_that_was_never_renewed_is_no_sign_of_life() -> None:
    clock = FakeClock()
    beats = Heartbeats(clock=clock.monotonic, wall=clock.wall)
    empty = LeaseRecord(name="malacoda-a", holder="", renewed=None, duration=LEASE)

    beats.upsert(empty)
    beats.replace([empty])

    assert beats.expiry("malacoda-a", LEASE) is None


def test_a_clock_ahead_of_ours_buys_no_time() -> None:
    clock = FakeClock()
    beats = Heartbeats(clock=clock.monotonic, wall=clock.wall)

    beats.replace([lease("malacoda-a", age=-3600)])

    assert beats.expiry("malacoda-a", LEASE) == clock.monotonic() + LEASE


def test_loads_follow_pods_as_they_come_move_and_go() -> None:
    loads = Loads()

    loads.upsert(make_pod_record("a"))
    loads.upsert(make_pod_record("a", node="n"))
    loads.upsert(make_pod_record("a", node=""))
    loads.upsert(make_pod_record("b", node="n", millis=250))
    loads.upsert(make_pod_record("b", node="n", millis=300))
    full = dict(loads.by_node)
    loads.upsert(make_pod_record("a", node="n", phase="Failed"))
    loads.delete("b")
    loads.delete("b")

    assert full == {"n": 400}
    assert loads.by_node == {"n": 0}


def test_loads_assume_known_unbound_pods_alone() -> None:
    loads = Loads()
    loads.upsert(make_pod_record("a"))
    loads.upsert(make_pod_record("b", node="m"))

    for uid in ("a", "b", "stranger"):
        loads.assume(uid, "n")

    assert loads.by_node == {"m": 100, "n": 100}


def test_a_node_that_is_gone_is_not_missed_when_its_lease_ends() -> None:
    world = World()
    world.add(make_node("a", level=20))
    world.cache.nodes.delete("a")

    world.clock.advance(31)

    assert world.cache.snapshot().nodes == {}


def test_a_pod_that_is_deleted_gives_its_load_back() -> None:
    world = World()
    world.cache.pods.upsert(make_pod_record("p", node="a", millis=500))

    world.cache.pods.delete("p")

    assert world.cache.snapshot().loads == {"a": 0}


def test_a_fault_in_an_annotation_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()

    for level in (20, 19):
        world.add(make_node("a", level=level, cpu="?"))

    assert [record.message for record in caplog.records] == ["node annotation refused"]
