"""Tenants in memory with several extender replicas, whose watches lag behind, and a collector."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from extender.binding.conditional_writes import ConditionalWrites
from extender.binding.entry_lease import EntryLease
from extender.binding.tenant_entries import TenantEntries
from extender.cache.tenants import TenantTable
from extender.cache.workloads import WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.protocol import BindingArgs
from k40s.annotations import CRITICALITY_KEY, TASKS_KEY
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.ledger.collection import PodFact, collect, entry_key
from k40s.reasons import Reason
from k40s.tenants.model import Usage
from k40s.tenants.need import need_of
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.tenants import FakeTenants

START = datetime(2026, 3, 1, tzinfo=UTC)
LEASE = Nanoseconds(60 * NS_PER_S)
PERIOD_MS = 100


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A pod of one task, of so many hundredths of a CPU; without any it has no tasks."""

    uid: str
    namespace: str
    criticality: Criticality
    percent: int

    @property
    def record(self) -> PodRecord:
        annotations = {CRITICALITY_KEY: self.criticality.name}
        if self.percent:
            annotations[TASKS_KEY] = (
                f'[{{"name":"t","period":"{PERIOD_MS}ms","wcet":{{"edge":"{self.percent}ms"}}}}]'
            )
        return PodRecord(
            uid=self.uid,
            namespace=self.namespace,
            name=self.uid,
            node="",
            phase="Pending",
            labels={},
            annotations=annotations,
            containers=("main",),
            container_ids={},
            deleting=False,
            cpu_request_millis=0,
            scheduler="k40s-scheduler",
            resource_version="1",
        )


@dataclass
class Truth:
    """The API server's pods and Tenants, and the time."""

    now: int = 0
    tenants: FakeTenants = field(default_factory=FakeTenants)
    pods: dict[str, PodRecord] = field(default_factory=dict)

    def clock(self) -> int:
        return self.now

    def wall(self) -> datetime:
        return START + timedelta(microseconds=self.now // 1000)

    def used(self, workloads: WorkloadCache, namespaces: frozenset[str]) -> Usage:
        """What bound pods of these namespaces use, from what they declare."""
        needs = []
        for record in self.pods.values():
            if record.node and record.namespace in namespaces:
                workload = workloads.read_pod(record).workload
                assert workload is not None
                needs.append(need_of(workload, uid=record.uid, namespace=record.namespace))
        return Usage.of(needs)

    def facts(self) -> Mapping[str, PodFact | None]:
        entries = [one for state in self.tenants.states.values() for one in state.reservations]
        return {
            one.owner.uid: PodFact(node=pod.node) if (pod := self.pods.get(one.owner.uid)) else None
            for one in entries
        }

    def collect(self) -> None:
        """The controller looks once, at the API server's own answers."""
        for name, state in list(self.tenants.states.items()):
            expired = {
                entry_key(one)
                for one in state.reservations
                if one.until is not None and self.wall() >= one.until
            }
            plan = collect(state.reservations, self.facts(), expired)
            if plan.changes:
                self.tenants.update_tenant_reservations(
                    name, plan.reservations, version=state.resource_version
                )


class Replica:
    """One extender's side of Tenants; it sees pods and Tenants when it is told to look."""

    def __init__(self, truth: Truth, name: str) -> None:
        self.truth = truth
        self.workloads = WorkloadCache()
        self.table = TenantTable(workloads=self.workloads, on_change=lambda: None)
        attempts = iter(range(1_000_000))
        self.entries = TenantEntries(
            table=self.table,
            tenants=truth.tenants,
            writes=ConditionalWrites(clock=truth.clock, pause=self._pause, jitter=lambda: 0.5),
            clock=truth.clock,
            lease=EntryLease(duration=LEASE, clock=truth.clock, wall=truth.wall),
            timeout=Nanoseconds(NS_PER_S),
            conflicts=ExtenderMetrics(CollectorRegistry()).tenant_conflicts,
            name_attempt=lambda: f"{name}-{next(attempts)}",
        )
        self._known: set[str] = set()

    def _pause(self, pause: Nanoseconds) -> None:
        self.truth.now += pause

    def see_tenants(self) -> None:
        self.table.feed.replace(self.truth.tenants.records())

    def see_pods(self) -> None:
        self.table.pods.replace(list(self.truth.pods.values()))
        for uid in self._known - self.truth.pods.keys():
            self.table.pod_gone(uid)
        self._known = set(self.truth.pods)

    def workload(self, wanted: Wanted) -> Workload:
        workload = self.workloads.read_pod(wanted.record).workload
        assert workload is not None
        return workload

    def bind(self, wanted: Wanted, node: str, finish: Callable[[], str]) -> Reason | None:
        """Reserve, and then bind as ``finish`` says: "bound", "failed", "unknown" or "lost".

        Of "unknown" the bind does not know that it was bound, of "lost" that it was not.
        """
        args = BindingArgs(uid=wanted.uid, namespace=wanted.namespace, name=wanted.uid, node=node)
        with ExitStack() as undo:
            refused = self.entries.reserve(args, self.workload(wanted), undo)
            if refused is not None:
                return refused
            end = finish()
            known = self.truth.pods.get(wanted.uid)
            if end in ("bound", "unknown") and known is not None and not known.node:
                self.truth.pods[wanted.uid] = _bound(wanted, node)
            elif end != "lost":
                return None  # the Binding was refused: undone
            undo.pop_all()
        return None


def _bound(wanted: Wanted, node: str) -> PodRecord:
    return replace(wanted.record, node=node, phase="Running")
