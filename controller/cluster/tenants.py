"""The Tenants of the cluster, and the bound pods that count for them."""

import threading
from collections.abc import Mapping, Sequence

from k40s.annotations import read_workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.kube.objects.managed_pods import ManagedPodRecord
from k40s.kube.objects.tenants import WatchedTenant
from k40s.kube.records import PodRecord
from k40s.ledger.entry import Owner
from k40s.tenants.ledger import TenantReservation
from k40s.tenants.need import need_of

_READ = frozenset({"labels", "annotations", "node", "phase", "containers", "sidecars"})
"""Fields of a record that what it counts depends on."""


class WatchedTenants:
    """Handler of Tenants. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tenants: dict[str, WatchedTenant] = {}

    def tenants(self) -> Mapping[str, WatchedTenant]:
        """A copy that does not change, by name."""
        with self._lock:
            return dict(self._tenants)

    def replace(self, records: Sequence[WatchedTenant]) -> None:
        """All Tenants."""
        with self._lock:
            self._tenants = {one.key: one for one in records}

    def merge(self, records: Sequence[WatchedTenant]) -> None:
        """Some of them."""
        with self._lock:
            self._tenants |= {one.key: one for one in records}

    def upsert(self, record: WatchedTenant) -> None:
        """A Tenant is new or has changed."""
        with self._lock:
            self._tenants[record.key] = record

    def delete(self, key: str) -> None:
        """A Tenant is gone."""
        with self._lock:
            self._tenants.pop(key, None)


class CountedPods:
    """Handler of Pods: those that are bound and count for a tenant. Any thread may call.

    A pod whose fields cannot be read keeps what it counted before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pods: dict[str, TenantReservation] = {}

    def by_namespace(self) -> Mapping[str, Sequence[TenantReservation]]:
        """What the pods of each namespace count, as entries that do not expire."""
        found: dict[str, list[TenantReservation]] = {}
        with self._lock:
            pods = list(self._pods.values())
        for one in pods:
            found.setdefault(one.owner.namespace, []).append(one)
        return found

    def replace(self, records: Sequence[ManagedPodRecord]) -> None:
        """All Pods."""
        with self._lock:
            listed = {one.key for one in records}
            self._pods = {uid: pod for uid, pod in self._pods.items() if uid in listed}
        self.merge(records)

    def merge(self, records: Sequence[ManagedPodRecord]) -> None:
        """Some of them."""
        for one in records:
            self.upsert(one)

    def upsert(self, record: ManagedPodRecord) -> None:
        """A Pod is new or has changed."""
        pod = record.pod
        if any(fault.field in _READ for fault in pod.faults):
            return
        counted = _count(pod)
        with self._lock:
            if counted is None:
                self._pods.pop(pod.uid, None)
            else:
                self._pods[pod.uid] = counted

    def delete(self, key: str) -> None:
        """A Pod is gone."""
        with self._lock:
            self._pods.pop(key, None)


def _count(pod: PodRecord) -> TenantReservation | None:
    if pod.ended or not pod.node:
        return None
    try:
        workload = read_workload(
            labels=pod.labels,
            annotations=pod.annotations,
            containers=pod.containers,
            sidecars=pod.sidecars,
            init_containers=pod.init_containers,
            held=True,
        )
    except InvalidAnnotationError:
        return None  # it has bypassed the extender, and holds nothing
    need = need_of(workload, uid=pod.uid, namespace=pod.namespace)
    if not need.bandwidth and need.criticality is not Criticality.HI:
        return None
    return TenantReservation(
        owner=Owner(uid=pod.uid, namespace=pod.namespace, name=pod.name),
        node=pod.node,
        criticality=need.criticality,
        bandwidth=need.bandwidth,
    )
