"""Reports keys of k40s on a Deployment that its pod template lacks, so that its pods run as NO."""

import threading
from collections.abc import Sequence

from prometheus_client import Gauge

from extender.monitoring.owner_events import OwnerEvents
from k40s.kube.events import EventWriter
from k40s.kube.records import PodOwnerRecord
from k40s.units import Clock

EVENT = "KeyReachesNoPod"
TEMPLATES = {"CronJob": "spec.jobTemplate.spec.template"}
TEMPLATE = "spec.template"


class UnreachedKeys:
    """Fed by the informers of all kinds that make pods; ``look`` is called by one thread."""

    def __init__(self, *, events: EventWriter, counted: Gauge, clock: Clock) -> None:
        self._counted = counted
        self._events = OwnerEvents(
            events=events, reason=EVENT, suffix="key-reaches-no-pod", clock=clock
        )
        self._lock = threading.Lock()
        self._records: dict[str, PodOwnerRecord] = {}

    def feed(self, kind: str) -> "KindFeed":
        """The handler of one kind's informer."""
        return KindFeed(kind, self._records, self._lock)

    def look(self) -> None:
        """Counts the objects, and reports them to their owners."""
        with self._lock:
            found = dict(self._records)
        self._counted.set(len(found))
        self._events.follow(found.keys())
        self._events.report_due(
            (record.about for record in found.values()), lambda about: describe(found[about.uid])
        )


class KindFeed:
    """Keeps the objects of one kind that have a key which reaches no pod."""

    def __init__(self, kind: str, records: dict[str, PodOwnerRecord], lock: threading.Lock) -> None:
        self._kind = kind
        self._records = records
        self._lock = lock

    def replace(self, records: Sequence[PodOwnerRecord]) -> None:
        """Replaces all objects."""
        present = {record.key for record in records}
        with self._lock:
            for uid, known in list(self._records.items()):
                if known.about.kind == self._kind and uid not in present:
                    del self._records[uid]
        self.merge(records)

    def merge(self, records: Sequence[PodOwnerRecord]) -> None:
        """Adds or updates objects from an incomplete list."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodOwnerRecord) -> None:
        """Adds or updates an object."""
        with self._lock:
            if record.unreached and not record.controlled:
                self._records[record.key] = record
            else:
                self._records.pop(record.key, None)

    def delete(self, key: str) -> None:
        """Removes an object."""
        with self._lock:
            self._records.pop(key, None)


def describe(record: PodOwnerRecord) -> str:
    """The event's text: the fault and its correction, constant for one state of the object."""
    template = TEMPLATES.get(record.about.kind, TEMPLATE)
    keys = ", ".join(record.unreached)
    many = len(record.unreached) > 1
    return (
        f"{keys} on the {record.about.kind} itself {'reach' if many else 'reaches'} no pod: "
        f"k40s reads the pods, whose template has none or another value; "
        f"put {'them' if many else 'it'} into {template}.metadata.annotations"
    )
