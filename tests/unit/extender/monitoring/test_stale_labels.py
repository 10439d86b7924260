"""Labels of nodes whose daemon has died, seen by the cache and confirmed at the API server."""

from dataclasses import dataclass, field, replace

import pytest

from extender.cache.nodes import NodeCache
from extender.monitoring.stale_labels import AT_ONCE, StaleLabels
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    GIVE_BACK_LABEL,
    REAL_TIME_LABEL,
    CpuState,
)
from k40s.assurance.level import Thresholds
from k40s.errors import UnavailableError
from k40s.kube.records import LeaseRecord, NodeRecord
from k40s.kube.transport import RefusedError
from k40s.reasons import Reason
from tests.fakes.extender.world import (
    LEASE,
    FakeClock,
    FakeNodes,
    make_cpu_state,
    make_node,
)

_LEASE_S = LEASE // 10**9


@dataclass
class Scene:
    """A cache and an API server; daemons renew at both, or the news is lost on its way to one."""

    clock: FakeClock = field(default_factory=FakeClock)
    api: FakeNodes = field(default_factory=FakeNodes)
    counted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache = NodeCache(
            thresholds=Thresholds(low=7, high=14),
            clock=self.clock.monotonic,
            wall=self.clock.wall,
        )
        self.labels = StaleLabels(
            find=self.cache.stale_labels,
            api=self.api,
            namespace="k40s-system",
            withdrawn=self.counted.append,
            clock=self.clock.monotonic,
        )

    def add(self, record: NodeRecord) -> None:
        self.api.node_records[record.name] = record
        self.cache.upsert_node(record)

    def renew(self, lease: str, *, watched: bool = True) -> None:
        record = LeaseRecord(name=lease, holder="x", renewed=self.clock.wall(), duration=LEASE)
        self.api.lease_records[lease] = record
        if watched:
            self.cache.upsert_lease(record)

    def ticks(self, seconds: int) -> None:
        for _ in range(0, seconds, 5):
            self.labels.tick()
            self.clock.advance(5)


def test_the_class_of_a_node_whose_malacoda_has_died_is_withdrawn() -> None:
    scene = Scene()
    scene.add(make_node("a", level=20, classed=True))
    scene.renew("malacoda-a")

    scene.ticks(_LEASE_S + 20)

    assert scene.api.removed == [("a", ASSURANCE_CLASS_LABEL)]
    assert scene.counted == [ASSURANCE_CLASS_LABEL]


def test_the_real_time_label_of_a_node_whose_rubicante_has_died_is_withdrawn() -> None:
    scene = Scene()
    scene.add(make_node("a", cpu=make_cpu_state()))
    scene.renew("rubicante-a")

    scene.ticks(_LEASE_S + 20)

    assert scene.api.removed == [("a", REAL_TIME_LABEL)]


def test_the_real_time_label_of_a_node_that_is_given_back_is_left_to_who_gives_it_back() -> None:
    scene = Scene()
    node = make_node("a", cpu=make_cpu_state())
    scene.add(replace(node, labels={**node.labels, GIVE_BACK_LABEL: "true"}))
    scene.renew("rubicante-a")

    scene.ticks(_LEASE_S + 20)

    assert scene.api.removed == []  # its absence would say that nothing is left in the kernel


def test_looking_at_what_would_be_given_back_keeps_no_label() -> None:
    scene = Scene()
    node = make_node("a", cpu=make_cpu_state())
    scene.add(replace(node, labels={**node.labels, GIVE_BACK_LABEL: "dry-run"}))
    scene.renew("rubicante-a")

    scene.ticks(_LEASE_S + 20)

    assert scene.api.removed == [("a", REAL_TIME_LABEL)]


def test_a_node_without_its_label_stays_refused_for_the_silence_of_its_daemon() -> None:
    scene = Scene()
    scene.add(make_node("a", cpu=make_cpu_state(), real_time=False))
    scene.renew("rubicante-a")
    before = scene.cache.snapshot().nodes["a"].cpu_refusal

    scene.clock.advance(_LEASE_S + 1)

    assert before is Reason.CPU_NO_REAL_TIME
    assert scene.cache.snapshot().nodes["a"].cpu_refusal is Reason.CPU_STATE_STALE


def test_a_label_stays_while_its_daemon_renews() -> None:
    scene = Scene()
    scene.add(make_node("a", level=20, classed=True))

    for _ in range(20):
        scene.renew("malacoda-a")
        scene.ticks(10)

    assert scene.api.removed == []


def test_a_label_stays_where_only_our_watch_is_behind() -> None:
    scene = Scene()
    scene.add(make_node("a", level=20, classed=True))
    scene.renew("malacoda-a")

    for _ in range(20):
        scene.renew("malacoda-a", watched=False)
        scene.ticks(10)

    assert scene.cache.snapshot().nodes["a"].assurance is Reason.ASSURANCE_STALE
    assert scene.api.removed == []


def test_a_label_stays_where_the_api_server_does_not_answer() -> None:
    scene = Scene()
    scene.add(make_node("a", level=20, classed=True))
    scene.renew("malacoda-a")
    scene.api.node_fault = UnavailableError("down")

    scene.ticks(_LEASE_S + 60)

    assert scene.api.removed == []


def test_a_daemon_that_returns_between_two_looks_keeps_its_label() -> None:
    scene = Scene()
    scene.add(make_node("a", level=20, classed=True))
    scene.renew("malacoda-a")
    scene.ticks(_LEASE_S + 5)

    scene.renew("malacoda-a")
    scene.ticks(10)

    assert scene.api.removed == []


def test_a_node_that_has_changed_meanwhile_is_looked_at_again() -> None:
    scene = Scene()
    record = make_node("a", level=20, classed=True)
    scene.add(record)
    scene.renew("malacoda-a")
    scene.api.node_records["a"] = replace(record, labels={})

    scene.ticks(_LEASE_S + 60)

    assert scene.api.removed == []


def test_a_lease_that_was_deleted_vouches_for_nothing() -> None:
    scene = Scene()
    scene.add(make_node("a", level=20, classed=True))

    scene.ticks(20)

    assert scene.api.removed == [("a", ASSURANCE_CLASS_LABEL)]


def test_so_many_labels_are_withdrawn_at_once_and_no_more() -> None:
    scene = Scene()
    for number in range(AT_ONCE + 5):
        scene.add(make_node(f"n{number}", level=20, classed=True))
    scene.labels.tick()
    scene.clock.advance(_LEASE_S)

    scene.labels.tick()
    first = len(scene.api.removed)
    for name, _ in scene.api.removed:
        scene.cache.upsert_node(scene.api.node_records[name])
    scene.labels.tick()

    assert first == AT_ONCE
    assert len(scene.api.removed) == AT_ONCE + 5


@pytest.mark.parametrize(
    "fault", [RefusedError("403 a webhook"), UnavailableError("500 a webhook")]
)
def test_a_node_that_may_not_be_written_keeps_no_other_waiting(fault: Exception) -> None:
    scene = Scene()
    for name in ("a", "b", "c"):
        scene.add(make_node(name, level=20, classed=True))
    scene.api.write_faults = {"a": fault, "b": fault}

    scene.ticks(_LEASE_S + 60)

    assert scene.api.removed == [("c", ASSURANCE_CLASS_LABEL)]


@pytest.mark.parametrize("state", [None, "?", make_cpu_state(mechanism="none")])
def test_a_label_without_a_state_that_backs_it_is_withdrawn_too(state: CpuState | None) -> None:
    scene = Scene()
    scene.add(make_node("a", cpu=state, real_time=True))
    scene.add(make_node("b", classed=True))

    scene.ticks(120)

    assert set(scene.api.removed) == {("a", REAL_TIME_LABEL), ("b", ASSURANCE_CLASS_LABEL)}


def test_a_living_daemon_whose_state_is_not_understood_keeps_its_label() -> None:
    scene = Scene()
    scene.add(make_node("a", cpu="of a later version", real_time=True))

    for _ in range(40):
        scene.renew("rubicante-a")
        scene.ticks(10)

    assert scene.api.removed == []
