"""Culprits are evicted by the controller: on a cluster in memory, through its own parts."""

from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from controller.eviction.culprits import CulpritEvictor
from controller.eviction.requests import CulpritTable
from controller.metrics import EventReason, EvictionMetrics
from k40s.annotations import CULPRITS_KEY, EVICTIONS_KEY, Culprit, format_culprits
from k40s.assurance.eviction import EvictionPolicy
from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Cause
from k40s.errors import UnavailableError
from k40s.kube.records import NodeRecord, ObjectRef
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.controller.cluster import CrashError, FakeCluster

ON = EvictionPolicy(enabled=True)


@dataclass
class World:
    """Node edge-1 with a HI pod and a NO Deployment, whose monitor may ask for evictions."""

    policy: EvictionPolicy = ON
    dry_run: bool = False
    cluster: FakeCluster = field(default_factory=FakeCluster)
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster.levels_by_node = {"edge-1": 16}
        self.cluster.add_deployment("control", node="edge-1")
        self.cluster.add_deployment("noisy", node="edge-1", criticality="NO")
        self.table = CulpritTable()
        self.registry = CollectorRegistry()
        self.start()

    def start(self) -> None:
        """Another process leads."""
        self.registry = CollectorRegistry()
        self.evictor = CulpritEvictor(
            requests=self.table,
            cluster=self.cluster,
            leadership=self.cluster,
            evictor=self.cluster,
            events=self,
            metrics=EvictionMetrics(self.registry),
            policy=self.policy,
            namespace="k40s-system",
            retry=Nanoseconds(15 * NS_PER_S),
            dry_run=self.dry_run,
            now=self.cluster.clock,
        )

    def add(self, reason: EventReason, text: str, *about: ObjectRef, subject: str = "") -> bool:
        new = (reason.value, about[0].name, subject) not in self.told
        if new:
            self.told.append((reason.value, about[0].name, subject))
            self.texts = text
        return new

    def uid(self, app: str) -> str:
        """The newest pod of a Deployment that is not ending."""
        found = [
            uid
            for uid, pod in self.cluster.items.items()
            if pod["metadata"]["labels"]["app"] == app
            and "deletionTimestamp" not in pod["metadata"]
        ]
        return found[-1]

    def ask(self, *uids: str, node: str = "edge-1", age: int = 0) -> None:
        at = self.cluster.now - age * NS_PER_S
        hazards = (Metric.CPU_SYSTEM,)
        culprits = [Culprit(uid=u, at=at, rule=Cause.RELAPSED, hazards=hazards) for u in uids]
        texts = {CULPRITS_KEY: format_culprits(culprits)} if uids else {}
        self.table.upsert(NodeRecord(name=node, annotations=texts, labels={}, resource_version="1"))

    @property
    def evicted(self) -> list[str]:
        return [app for _, app, _ in self.cluster.left]

    def held(self, obstacle: str) -> float | None:
        name = "k40s_controller_held_culprits"
        return self.registry.get_sample_value(name, {"obstacle": obstacle})


def test_a_culprit_that_its_nodes_monitor_asks_for_is_evicted_once_and_told() -> None:
    world = World()
    world.ask(world.uid("noisy"))

    for _ in range(10):
        world.evictor.tick()
        world.cluster.pass_time(1)

    assert world.evicted == ["noisy"]
    assert [reason for reason, _, _ in world.told] == ["CulpritEvicted"]
    assert "cpu-system" in world.texts
    assert EVICTIONS_KEY in world.cluster.notes
    assert world.registry.get_sample_value("k40s_controller_culprits_evicted_total") == 1


def test_the_critical_pod_itself_is_never_evicted_whatever_a_monitor_asks() -> None:
    world = World()
    world.ask(world.uid("control"))

    world.evictor.tick()

    assert world.evicted == []
    assert world.held("not-lower") == 1
    assert [reason for reason, _, _ in world.told] == ["CulpritNotEvicted"]


def test_a_pod_of_another_node_and_an_old_request_are_not_believed() -> None:
    world = World()
    world.cluster.levels_by_node["edge-2"] = 16
    world.ask(world.uid("noisy"), node="edge-2")
    world.evictor.tick()
    elsewhere = world.held("unknown-pod")
    world.ask(node="edge-2")
    world.ask(world.uid("noisy"), age=3600)

    world.evictor.tick()

    assert (elsewhere, world.held("stale-request"), world.evicted) == (1, 1, [])


def test_a_node_whose_monitor_is_silent_asks_for_nothing() -> None:
    world = World()
    world.cluster.levels_by_node["edge-1"] = None
    world.ask(world.uid("noisy"))

    world.evictor.tick()

    assert (world.evicted, world.told) == ([], [])


def test_switched_off_it_says_so_and_evicts_nobody() -> None:
    world = World(policy=EvictionPolicy())
    world.ask(world.uid("noisy"))

    world.evictor.tick()

    assert world.evicted == []
    assert world.held("disabled") == 1
    assert "K40S_EVICT_CULPRITS" in world.texts


def test_in_a_dry_run_it_says_what_it_would_do() -> None:
    world = World(dry_run=True)
    world.ask(world.uid("noisy"))

    world.evictor.tick()

    assert (world.cluster.writes, world.held("dry-run")) == ([], 1)
    assert "dry run" in world.texts


def test_a_budget_holds_and_is_asked_again_after_a_while() -> None:
    world = World()
    world.cluster.may_evict = lambda _pod: False
    world.ask(world.uid("noisy"))
    world.evictor.tick()
    held = world.held("disruption-budget")
    world.cluster.may_evict = lambda _pod: True
    world.evictor.tick()
    too_soon = list(world.evicted)
    world.cluster.pass_time(16)

    world.evictor.tick()

    assert (held, too_soon, world.evicted) == (1, [], ["noisy"])


def test_the_replacement_is_left_alone_for_a_while() -> None:
    world = World()
    world.ask(world.uid("noisy"))
    world.evictor.tick()
    world.cluster.pass_time(60)
    world.ask(world.uid("noisy"))

    world.evictor.tick()

    assert world.evicted == ["noisy"]
    assert world.held("owner-cooldown") == 1


def test_a_replica_that_does_not_lead_evicts_nobody() -> None:
    world = World()
    world.cluster.leading = False
    world.ask(world.uid("noisy"))

    world.evictor.tick()

    assert world.evicted == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", [0, 1])
def test_killed_at_any_write_nobody_is_evicted_twice(step: int, after: bool) -> None:
    world = World()
    world.cluster.crash_at, world.cluster.crash_after = step, after
    world.ask(world.uid("noisy"))
    with pytest.raises(CrashError):
        world.evictor.tick()
    world.start()

    for _ in range(700):
        world.evictor.tick()
        world.cluster.pass_time(1)

    assert world.evicted == ["noisy"]


def test_an_api_server_that_does_not_answer_is_asked_again_later() -> None:
    world = World()

    def fail(_pod: object) -> bool:
        raise UnavailableError("POST eviction: refused")

    world.cluster.may_evict = fail
    world.ask(world.uid("noisy"))
    world.evictor.tick()
    held = world.held("request-failed")
    world.cluster.may_evict = lambda _pod: True
    world.cluster.pass_time(16)

    world.evictor.tick()

    assert (held, world.evicted) == (1, ["noisy"])


def test_a_history_that_cannot_be_read_stops_evictions() -> None:
    world = World()
    world.cluster.notes[EVICTIONS_KEY] = "none"
    world.ask(world.uid("noisy"))

    world.evictor.tick()

    assert (world.evicted, world.held("request-failed")) == ([], 1)
