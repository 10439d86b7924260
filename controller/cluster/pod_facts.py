"""Of every pod its node and whether it has ended: what reservations depend on."""

import threading
from collections.abc import Mapping, Sequence

from k40s.kube.objects.managed_pods import ManagedPodRecord
from k40s.kube.records import PodRecord
from k40s.ledger.collection import PodFact

_DECISIVE = frozenset({"node", "phase"})


class PodFactTable:
    """Handler of Pods. Any thread may call.

    Of a pod whose node or phase cannot be read the former fact stays. Without one it is as good as
    missing, so whoever acts on that has to ask the API server.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[str, PodFact] = {}

    def facts(self) -> Mapping[str, PodFact]:
        """A copy that does not change, by UID."""
        with self._lock:
            return dict(self._facts)

    def replace(self, records: Sequence[ManagedPodRecord]) -> None:
        """All Pods."""
        with self._lock:
            former, self._facts = self._facts, {}
            for one in records:
                self._read(one, former)

    def merge(self, records: Sequence[ManagedPodRecord]) -> None:
        """Some of them."""
        with self._lock:
            for one in records:
                self._read(one, self._facts)

    def upsert(self, record: ManagedPodRecord) -> None:
        """A Pod is new or has changed."""
        with self._lock:
            self._read(record, self._facts)

    def delete(self, key: str) -> None:
        """A Pod is gone."""
        with self._lock:
            self._facts.pop(key, None)

    def _read(self, record: ManagedPodRecord, former: Mapping[str, PodFact]) -> None:
        fact = read_fact(record.pod)
        if fact is None:
            fact = former.get(record.key)
        if fact is not None:
            self._facts[record.key] = fact


def read_fact(pod: PodRecord) -> PodFact | None:
    """The fact, None where what it depends on cannot be read."""
    if any(fault.field in _DECISIVE for fault in pod.faults):
        return None
    return PodFact(node=pod.node, ended=pod.ended)
