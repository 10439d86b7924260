"""Watched Tenants with the entries that count, and the bound pods of each namespace.

A pod that was bound before its Tenant existed has no entry. So what is used is the entries and the
bound pods together, each pod once.
"""

import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from extender.cache.ledgers import LedgerTable
from extender.cache.workloads import WorkloadCache
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.kube.watching.feed import Feed
from k40s.reasons import Reason
from k40s.tenants.assignment import Assignment
from k40s.tenants.ledger import TenantState, usage_of
from k40s.tenants.model import Need, Usage
from k40s.tenants.need import need_of

_Bound = dict[str, dict[str, Need]]
"""Needs of bound pods by namespace and UID."""


class TenantTable(LedgerTable[TenantState]):
    """Fed by informers of Tenants (``feed``) and pods (``pods``); any thread may read."""

    def __init__(self, *, workloads: WorkloadCache, on_change: Callable[[], None]) -> None:
        super().__init__(without=_without, on_change=self._changed)
        self._workloads = workloads
        self._on_pods = on_change
        self.names: Final[set[str]] = set()
        """Empty while there are no Tenants."""
        self._pods_lock = threading.Lock()
        self._bound: _Bound = {}
        self._namespaces: dict[str, str] = {}  # by UID
        self._changes = 0
        self._assigned: tuple[Mapping[str, TenantState], Assignment] = ({}, Assignment())
        self._usages: dict[str, tuple[TenantState, int, Usage]] = {}
        self.pods = Feed(self._replace_pods, self._merge_pods, self._upsert_pod, self._delete_pod)

    def find(self, namespace: str) -> TenantState | Reason | None:
        """The Tenant of a namespace, why none can be told, or None where there are no bounds."""
        states = self.states()
        if not states:
            return None
        known, assignment = self._assigned
        if known is not states:
            assignment = Assignment.of(states.values())
            self._assigned = (states, assignment)
        return assignment.find(namespace)

    def usage(self, state: TenantState, namespace: str) -> Usage:
        """What counts against the bounds of a namespace, by this state."""
        key = namespace if state.namespaces is None else f"/{state.name}"
        with self._pods_lock:
            changes = self._changes
            found = self._usages.get(key)
            if found is not None and found[0] is state and found[1] == changes:
                return found[2]
            usage = usage_of(state, namespace, self._bound_in(state, namespace))
            if len(self._usages) > _MOST_USAGES:
                self._usages.clear()
            self._usages[key] = (state, changes, usage)
            return usage

    def bound(self, state: TenantState, namespace: str) -> tuple[Need, ...]:
        """The needs of the bound pods that share the bounds with this namespace."""
        with self._pods_lock:
            return tuple(self._bound_in(state, namespace))

    def _bound_in(self, state: TenantState, namespace: str) -> Iterator[Need]:
        for one in state.scope(namespace):
            yield from self._bound.get(one, {}).values()

    def _replace_pods(self, records: Sequence[PodRecord]) -> None:
        with self._pods_lock:
            missing = self._namespaces.keys() - {record.uid for record in records}
        for uid in missing:
            self._delete_pod(uid)
        self._merge_pods(records)

    def _merge_pods(self, records: Sequence[PodRecord]) -> None:
        for record in records:
            self._upsert_pod(record)

    def _upsert_pod(self, record: PodRecord) -> None:
        """Takes a pod. A bound one counts until it ends, also when it cannot be read any more."""
        if record.ended:
            self._delete_pod(record.uid)
            return
        if not record.node:
            return
        workload = self._workloads.read_pod(record, held=True).workload
        if workload is None:
            return
        need = need_of(workload, uid=record.uid, namespace=record.namespace)
        if not (need.bandwidth or need.criticality is Criticality.HI):
            return
        with self._pods_lock:
            pods = self._bound.setdefault(record.namespace, {})
            if pods.get(record.uid) == need:
                return
            pods[record.uid] = need
            self._namespaces[record.uid] = record.namespace
            self._changes += 1

    def _delete_pod(self, uid: str) -> None:
        with self._pods_lock:
            namespace = self._namespaces.pop(uid, None)
            if namespace is None:
                return
            pods = self._bound[namespace]
            del pods[uid]
            if not pods:
                del self._bound[namespace]
            self._changes += 1
        if self.names:
            self._on_pods()

    def _changed(self) -> None:
        names = self.states().keys()
        self.names.update(names)  # in place, and never empty in between: others hold this set
        self.names.intersection_update(names)
        self._on_pods()


def _without(state: TenantState, uids: Container[str]) -> TenantState:
    kept = tuple(one for one in state.reservations if one.owner.uid not in uids)
    return replace(state, reservations=kept)


_MOST_USAGES = 4096
