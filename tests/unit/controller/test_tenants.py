"""The controller counts pods for their tenants, gives back what is gone, and says what is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from prometheus_client import CollectorRegistry

from controller.cluster.tenants import CountedPods, WatchedTenants
from controller.collection.collector import Collector
from controller.collection.tenants import TenantLedger, tenant_ledgers
from controller.metrics import TenantCollectionMetrics
from k40s.annotations import CRITICALITY_KEY, TASKS_KEY
from k40s.kube.objects.managed_pods import ManagedPodRecord
from k40s.kube.objects.tenants import WatchedTenant
from k40s.kube.records import Fault, PodRecord
from k40s.kube.transport import ConflictError
from k40s.ledger.collection import PodFact
from k40s.node_agent.backoff import Backoff
from k40s.tenants.ledger import TenantReservation, TenantState
from k40s.tenants.summary import TenantSummary
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.tenants import make_tenant

START = datetime(2026, 3, 1, tzinfo=UTC)
TASKS = '[{"name":"t","period":"100ms","wcet":{"edge":"25ms"}}]'


def pod(uid: str, *, node: str = "n", phase: str = "Running", **notes: str) -> ManagedPodRecord:
    annotations = notes or {CRITICALITY_KEY: "HI", TASKS_KEY: TASKS}
    record = PodRecord(
        uid=uid,
        namespace="default",
        name=uid,
        node=node,
        phase=phase,
        labels={},
        annotations=annotations,
        containers=("main",),
        container_ids={},
        deleting=False,
        cpu_request_millis=0,
        scheduler="k40s-scheduler",
    )
    return ManagedPodRecord(pod=record, controller=None, ready=True, created=None)


@dataclass
class Scene:
    """One Tenant at the API server, pods, and a collector whose watches are up to date."""

    state: TenantState
    summary: TenantSummary = field(default_factory=TenantSummary)
    pods: dict[str, ManagedPodRecord] = field(default_factory=dict)
    now: int = 0
    writes: int = 0
    leading: bool = True

    def __post_init__(self) -> None:
        self.state = replace(self.state, resource_version="1")
        self.counted, self.tenants = CountedPods(), WatchedTenants()
        self.registry = CollectorRegistry()
        self.collector = Collector(
            what="tenant",
            ledgers=self._ledgers,
            cached=self._facts,
            pods=self,
            leadership=self,
            metrics=TenantCollectionMetrics(self.registry),
            backoff=Backoff(pause=Nanoseconds(NS_PER_S), clock=self._clock),
            clock=self._clock,
            wall=lambda: START + timedelta(microseconds=self.now // 1000),
        )

    def look(self, seconds: int = 30) -> None:
        """Once a second."""
        for _ in range(seconds):
            self.counted.replace(list(self.pods.values()))
            self.tenants.replace([self._watched()])
            self.collector.tick()
            self.now += NS_PER_S

    @property
    def held(self) -> list[str]:
        return [one.owner.uid for one in self.state.reservations]

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        del namespace
        found = self.pods.get(name)
        return None if found is None else found.pod

    def write(
        self,
        state: TenantState,
        summary: TenantSummary,
        reservations: tuple[TenantReservation, ...] | None,
    ) -> None:
        if state.resource_version != self.state.resource_version:
            raise ConflictError(state.name)
        self.writes += 1
        self.summary = summary
        held = self.state.reservations if reservations is None else reservations
        version = str(int(state.resource_version) + 1)
        self.state = replace(self.state, reservations=held, resource_version=version)

    def _clock(self) -> int:
        return self.now

    def _watched(self) -> WatchedTenant:
        return WatchedTenant(
            state=self.state, reservations=self.state.reservations, summary=self.summary
        )

    def _ledgers(self) -> Mapping[str, TenantLedger]:
        return tenant_ledgers(self.tenants.tenants(), self.counted.by_namespace(), self)

    def _facts(self) -> Mapping[str, PodFact]:
        return {
            uid: PodFact(node=one.pod.node, ended=one.pod.ended) for uid, one in self.pods.items()
        }


@pytest.fixture
def scene() -> Scene:
    return Scene(make_tenant(cpus="1", hi_pods=4))


def test_pods_that_were_there_before_get_entries(scene: Scene) -> None:
    scene.pods = {uid: pod(uid) for uid in ("a", "b")}

    scene.look()

    assert scene.held == ["a", "b"]
    assert (scene.summary.bandwidth, scene.summary.hi_pods) == ("0.5", 2)
    assert scene.state.reservations[0].bandwidth == Fraction(1, 4)


def test_what_is_gone_is_given_back(scene: Scene) -> None:
    scene.pods = {"a": pod("a"), "b": pod("b")}
    scene.look()
    del scene.pods["a"]
    scene.pods["b"] = pod("b", phase="Succeeded")

    scene.look()

    assert (scene.held, scene.summary.bandwidth) == ([], "0")
    sample = "k40s_controller_tenant_reservations_collected_total"
    assert scene.registry.get_sample_value(sample, {"cause": "gone"}) == 1


def test_an_entry_of_a_pod_that_is_bound_no_longer_expires(scene: Scene) -> None:
    scene.pods = {"a": pod("a")}
    scene.look()
    (entry,) = scene.state.reservations
    scene.state = replace(scene.state, reservations=(replace(entry, until=START),))

    scene.look()

    assert scene.state.reservations == (entry,)


def test_an_entry_whose_pod_was_never_bound_expires(scene: Scene) -> None:
    scene.pods = {"a": pod("a")}
    scene.look()
    leased = replace(scene.state.reservations[0], until=START, attempt="x")
    scene.state = replace(scene.state, reservations=(leased,))
    scene.pods = {"a": pod("a", node="")}

    scene.look(10)
    early = scene.held
    scene.look(30)

    assert (early, scene.held) == (["a"], [])


def test_a_status_that_is_right_is_not_written_again(scene: Scene) -> None:
    scene.look()
    writes = scene.writes

    scene.look(60)

    assert scene.writes == writes == 1


def test_another_replica_leads(scene: Scene) -> None:
    scene.leading, scene.pods = False, {"a": pod("a")}

    scene.look()

    assert scene.writes == 0


def test_pods_count_by_what_they_declare() -> None:
    counted = CountedPods()
    counted.merge(
        [
            pod("hi", **{CRITICALITY_KEY: "HI"}),
            pod("low", **{CRITICALITY_KEY: "LOW"}),
            pod("no", other="x"),
            pod("bad", **{CRITICALITY_KEY: "MID"}),
            pod("unbound", node=""),
        ]
    )

    assert [one.owner.uid for one in counted.by_namespace()["default"]] == ["hi"]


def test_a_pod_that_cannot_be_read_keeps_what_it_counted() -> None:
    counted = CountedPods()
    counted.upsert(pod("a"))
    odd = pod("a")
    faults = (Fault(field="annotations", text="metadata.annotations: found 5"),)

    counted.upsert(replace(odd, pod=replace(odd.pod, annotations={}, faults=faults)))
    kept = len(counted.by_namespace()["default"])
    counted.delete("a")

    assert (kept, counted.by_namespace()) == (1, {})


def test_watched_tenants_follow_the_watch() -> None:
    tenants = WatchedTenants()
    one, two = (
        WatchedTenant(state=make_tenant(name), reservations=(), summary=TenantSummary())
        for name in ("one", "two")
    )
    tenants.merge([one])
    tenants.upsert(two)
    tenants.delete("one")

    assert list(tenants.tenants()) == ["two"]
