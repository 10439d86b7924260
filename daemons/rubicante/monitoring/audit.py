"""Compares book, pods and kernel, and reports the differences.

Other parts repair k40s's own state: the informer's handler releases reservations of gone pods,
upkeep adopts pods that the book lost and sweeps what no reservation accounts for, the enforcer sets
threads and groups. The audit only reports. It includes foreign groups and threads that take
real-time bandwidth, which are never changed.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from fractions import Fraction
from typing import Protocol

from daemons.rubicante.book.agreement import find_disagreement, was_never_admitted
from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.cluster.pod_events import EventReason, PodEvents
from daemons.rubicante.cluster.pods import PodList
from daemons.rubicante.enforcement.view import EnforcementView
from daemons.rubicante.kernel.realtime_threads import ForeignThread
from daemons.rubicante.mechanisms.back_end import Stray
from daemons.rubicante.metrics import ReconciliationMetrics
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY
from k40s.cpu.model import CpuNode
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.node_api.messages import PodRef
from k40s.reasons import NOT_ADMITTED
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)

_APART_SECONDS = 10.0
"""Between two scans of all threads and groups, which cost the most."""
_SETTLED_SECONDS = 3.0
"""A pod that was just bound, or has lost its reservation, may be repaired by then."""
_SHOWN = 20
"""Differences of one kind that are listed one by one."""


@unique
class Difference(StrEnum):
    """Kinds, also a metric's label. The last two are foreign and only reported."""

    UNRESERVED_POD = "unreserved-pod"
    UNADMITTED_POD = "unadmitted-pod"
    GRANT_DIFFERS = "grant-differs"
    ABANDONED_RESERVATION = "abandoned-reservation"
    STRAY = "stray"
    FOREIGN_GROUP = "foreign-group"
    FOREIGN_THREAD = "foreign-thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference. ``event`` is the reason and text for the owner of ``pod``, if any."""

    kind: Difference
    text: str
    pod: PodRef | None = None
    event: tuple[EventReason, str] | None = None
    criticality: Criticality = Criticality.LOW


class StraySource(Protocol):
    """Lists k40s's kernel objects without a reservation; implemented by ``Upkeep``."""

    def strays(self) -> Sequence[Stray]:
        """As the last sweep left it."""
        ...


class ForeignGroupSource(Protocol):
    """Lists foreign groups with real-time bandwidth; implemented by ``Mechanisms``."""

    def foreign(self) -> Mapping[str, Fraction]:
        """Share of the real-time bandwidth, by group."""
        ...


class ForeignThreadSource(Protocol):
    """Finds foreign real-time threads on the node's real-time cores."""

    def find(self, enforced: AbstractSet[int]) -> Sequence[ForeignThread]:
        """Find all but those with the ``enforced`` TIDs."""
        ...


class Audit:
    """``look`` compares book and pods; every ten seconds the kernel too. ``clock`` is in s."""

    def __init__(
        self,
        *,
        book: Book,
        pods: PodList,
        enforcement: EnforcementView,
        strays: StraySource,
        foreign: ForeignGroupSource,
        foreign_threads: ForeignThreadSource,
        events: PodEvents,
        metrics: ReconciliationMetrics,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._pods = pods
        self._enforcement = enforcement
        self._strays = strays
        self._foreign = foreign
        self._foreign_threads = foreign_threads
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._due = clock()
        self._found: tuple[Finding, ...] = ()
        self._of_kernel: tuple[Finding, ...] = ()
        self._since: dict[str, float] = {}
        self._compared: dict[str, tuple[_Facts, Finding | None]] = {}

    def look(self) -> None:
        """Compare again; with the kernel when it is due. Report differences that last."""
        now = self._clock()
        if now >= self._due:
            self._due = now + _APART_SECONDS
            self._of_kernel = tuple(self._kernel_findings())
        found = (*self._between_book_and_pods(), *self._of_kernel)
        self._since = {f.text: self._since.get(f.text, now) for f in found}
        counted = Counter(finding.kind for finding in found)
        for kind in Difference:
            self._metrics.differences.labels(kind=kind.value).set(counted[kind])
        known = {finding.text for finding in self._found}
        for finding in found:
            if finding.text not in known:
                log.warning("difference", extra={"kind": finding.kind, "what": finding.text})
            lasts = now - self._since[finding.text] >= _SETTLED_SECONDS
            if lasts and finding.pod is not None and finding.event is not None:
                self._events.add(finding.pod, *finding.event, criticality=finding.criticality)
        self._found = found

    def warnings(self) -> tuple[str, ...]:
        """The differences, for ``GET /v1/state``; of each kind the first twenty."""
        listed: Counter[Difference] = Counter()
        texts = []
        for finding in self._found:
            listed[finding.kind] += 1
            if listed[finding.kind] <= _SHOWN:
                texts.append(finding.text)
        return tuple(texts)

    def _between_book_and_pods(self) -> list[Finding]:
        held = {entry.pod.uid: entry for entry in self._book.entries()}
        present = {record.uid: record for record in self._pods.records()}
        node = self._book.standing()
        found = []
        for record in present.values():
            finding = None if record.ended else self._compare(record, held.get(record.uid), node)
            if finding is not None:
                found.append(finding)
        self._compared = {uid: known for uid, known in self._compared.items() if uid in present}
        for entry in held.values():
            if entry.phase is Phase.BOUND and entry.pod.uid not in present:
                text = f"pod {entry.pod.namespace}/{entry.pod.name} is gone, its reservation not"
                found.append(Finding(kind=Difference.ABANDONED_RESERVATION, text=text))
        return found

    def _compare(self, record: PodRecord, entry: Entry | None, node: CpuNode) -> Finding | None:
        """Compare a pod again when something about it has changed."""
        facts = (record, entry, node.platform, node.platform_factor)
        known = self._compared.get(record.uid)
        if known is None or known[0] != facts:
            finding = _compare(record, entry, node)
            if finding is not None:
                finding = replace(finding, criticality=_criticality(record))
            known = self._compared[record.uid] = (facts, finding)
        return known[1]

    def _kernel_findings(self) -> list[Finding]:
        found = [
            Finding(
                kind=Difference.STRAY,
                text=f"{stray.what} is ours, and no reservation accounts for it {stray.cause}",
            )
            for stray in self._strays.strays()
        ]
        for name, share in self._foreign.foreign().items():
            text = f"the group {name} of others holds {float(share):.4f} of real-time bandwidth"
            found.append(Finding(kind=Difference.FOREIGN_GROUP, text=text))
        before = self._enforced()
        foreign = self._foreign_threads.find(before)
        after = self._enforced()  # it takes a while to look at all threads
        found += [
            Finding(kind=Difference.FOREIGN_THREAD, text=thread.text)
            for thread in foreign
            if thread.tid not in after
        ]
        return found

    def _enforced(self) -> set[int]:
        entries = self._book.entries()
        return {
            tid for entry in entries for tid in self._enforcement.threads(entry.pod.uid).values()
        }


_Facts = tuple[PodRecord, Entry | None, str, Fraction]


def _compare(record: PodRecord, entry: Entry | None, node: CpuNode) -> Finding | None:
    """The difference between a pod of this node and the book, if there is one."""
    name = f"pod {record.namespace}/{record.name}"
    pod = PodRef(uid=record.uid, namespace=record.namespace, name=record.name)
    if entry is None and ALLOCATION_KEY in record.annotations:
        return Finding(
            kind=Difference.UNRESERVED_POD,
            text=f"{name} runs here without its reservation",
            pod=pod,
            event=(EventReason.NOT_RESERVED, _UNRESERVED),
        )
    if entry is None:
        return _never_admitted(name, pod) if was_never_admitted(record) else None
    what = "" if entry.phase is Phase.RELEASING else find_disagreement(record, entry, node)
    if not what:
        return None
    return Finding(
        kind=Difference.GRANT_DIFFERS,
        text=f"{name} does not say what it holds: {what}",
        pod=pod,
        event=(EventReason.GRANT_DIFFERS, _DIFFERS.format(what=what)),
    )


def _never_admitted(name: str, pod: PodRef) -> Finding:
    return Finding(
        kind=Difference.UNADMITTED_POD,
        text=f"{name} has real-time tasks and was never admitted",
        pod=pod,
        event=(EventReason.NOT_ADMITTED, NOT_ADMITTED),
    )


def _criticality(record: PodRecord) -> Criticality:
    """The declared criticality; an invalid one counts as LOW."""
    text = record.annotations.get(CRITICALITY_KEY, record.labels.get(CRITICALITY_KEY))
    return Criticality.HI if text == Criticality.HI.name else Criticality.LOW


_UNRESERVED = (
    "the pod was placed with a reservation that this node no longer has and cannot give again; "
    "its threads run as ordinary ones"
)
_DIFFERS = (
    "the pod does not say what it was granted: {what}; "
    "what was granted when it was bound goes on to hold until the pod ends"
)
