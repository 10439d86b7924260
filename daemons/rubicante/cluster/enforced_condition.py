"""The pod condition ``k40s.io/enforced``: whether the kernel enforces all tasks of a pod.

Applications and operators wait for it, so it is False rather than late. It is written where it
differs from what the API server has, so that neither a restart nor an outage of the API server
leaves it wrong or costs extra writes.
"""

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.cluster.pod_events import EventReason
from daemons.rubicante.cluster.pods import PodList
from daemons.rubicante.enforcement.conditions import Condition, StandIn
from daemons.rubicante.enforcement.view import EnforcementView
from daemons.rubicante.metrics import FeedbackMetrics
from k40s.annotations import ALLOCATION_KEY, ENFORCED_CONDITION
from k40s.errors import K40sError, UnavailableError
from k40s.kube.records import ObjectRef, PodCondition, PodRecord
from k40s.kube.transport import RefusedError
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)

WAITING = "Waiting"
"""Reason while a task has no enforced thread and nothing is wrong yet."""
_PER_LOOK = 20
_PER_POD = 4
"""Writes of one pod within ``_APART_SECONDS``; the last of them may only set it False."""
_APART_SECONDS = 30.0
_UNSEEN_SECONDS = 10.0
"""How long the informer may take to show a write; after that another program has changed it."""
_LONGEST_PAUSE = 30.0

_HELD = PodCondition(
    status=True, reason="Enforced", message="the kernel holds the budgets and threads of all tasks"
)
_UNRESERVED = PodCondition(
    status=False,
    reason="ReservationMissing",
    message="this node has no reservation for the pod: its threads run as ordinary ones",
)


class PodConditionWriter(Protocol):
    """Writes pod conditions; implemented by ``KubeGateway``."""

    def set_pod_condition(
        self, pod: ObjectRef, kind: str, condition: PodCondition, *, turned: bool
    ) -> None:
        """Set it. Raises ``UnavailableError``, or another ``K40sError`` that is about the pod."""
        ...


@dataclass(slots=True)
class _Writes:
    """The writes to one pod: the one that the informer has not shown yet, and the last times.

    ``lost`` marks a pod that was enforced and waits again. ``refused_until`` follows a write that
    the API server refused for a cause of this pod's: a policy, another pod.
    """

    unseen: PodCondition | None = None
    tried: float = 0.0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_PER_POD))
    lost: bool = False
    refused_until: float = 0.0


def pod_condition(
    entry: Entry,
    threads: Iterable[tuple[str, str]],
    troubles: Sequence[Condition],
    stand_ins: Sequence[StandIn] = (),
) -> PodCondition:
    """The condition of a pod with a reservation; ``threads`` are the enforced (container, task).

    A trouble makes it False even where all threads are enforced: part of the contract is not. A
    main thread that stands in is enforced, and may be the wrong one: the reason says so.
    """
    if troubles:
        first = troubles[0]
        reason = "".join(word.capitalize() for word in first.trouble.value.split("-"))
        return PodCondition(
            status=False, reason=reason, message="; ".join(trouble.text for trouble in troubles)
        )
    held = set(threads)
    waiting = [
        f"{task.name} (container {reservation.container})"
        for reservation in entry.reservations
        for task in reservation.tasks
        if (reservation.container, task.name) not in held
    ]
    if waiting:
        message = f"not held yet: {', '.join(waiting)}"
        return PodCondition(status=False, reason=WAITING, message=message)
    if stand_ins:
        names = ", ".join(f"{one.task} (container {one.container})" for one in stand_ins)
        message = f"no thread bears the name of {names}: the main thread is held instead"
        return PodCondition(status=True, reason=EventReason.STAND_IN.value, message=message)
    return _HELD


class EnforcedConditions:
    """Keeps the condition of each pod of this node. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        pods: PodList,
        enforcement: EnforcementView,
        writer: PodConditionWriter,
        metrics: FeedbackMetrics,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._pods = pods
        self._enforcement = enforcement
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self._by_uid: dict[str, _Writes] = {}
        self._pause = self._paused_until = 0.0

    def look(self) -> None:
        """Write what has changed, as far as the limits allow; the rest waits for the next look."""
        records = self._pods.records()
        self._by_uid = {r.uid: self._by_uid.get(r.uid) or _Writes() for r in records}
        due = [
            (record, wanted, turned)
            for record, wanted in self._wanted(records)
            if (turned := self._turns(record, wanted)) is not None
        ]
        if self._clock() < self._paused_until:
            return
        due.sort(key=lambda one: (self._by_uid[one[0].uid].tried, one[1].status))
        for record, wanted, turned in due[:_PER_LOOK]:
            if not self._write(record, wanted, turned=turned):
                return

    def _wanted(self, records: Sequence[PodRecord]) -> list[tuple[PodRecord, PodCondition]]:
        troubles, stand_ins = (
            _by_pod(self._enforcement.conditions()),
            _by_pod(self._enforcement.stand_ins()),
        )
        found = []
        for record in records:
            if record.ended or record.deleting:
                continue
            entry = self._book.find(record.uid)
            if entry is None:
                if ALLOCATION_KEY in record.annotations:
                    found.append((record, _UNRESERVED))
            elif entry.phase is Phase.BOUND and entry.reservations:
                wrong, stood = troubles.get(record.uid, ()), stand_ins.get(record.uid, ())
                threads = self._enforcement.threads(record.uid)
                found.append((record, pod_condition(entry, threads, wrong, stood)))
        return found

    def _turns(self, record: PodRecord, wanted: PodCondition) -> bool | None:
        """Whether the write changes the status; None when nothing is to be written now."""
        done, now = self._by_uid[record.uid], self._clock()
        if record.enforced == done.unseen or now - done.tried >= _UNSEEN_SECONDS:
            done.unseen = None
        known = record.enforced if done.unseen is None else done.unseen
        if known == wanted:
            done.lost = False
            return None
        if now < done.refused_until:
            return None
        was_held = known is not None and known.status
        if was_held and wanted.reason == WAITING and not done.lost:
            done.lost = True  # a container restarts, or no look was taken yet
            return None
        writes = [at for at in done.times if now - at < _APART_SECONDS]
        if len(writes) >= _PER_POD - wanted.status:
            return None
        return known is None or known.status is not wanted.status

    def _write(self, record: PodRecord, wanted: PodCondition, *, turned: bool) -> bool:
        """Whether the next one may be tried."""
        done = self._by_uid[record.uid]
        done.tried = self._clock()
        done.times.append(done.tried)
        pod = ObjectRef(kind="Pod", namespace=record.namespace, name=record.name, uid=record.uid)
        try:
            self._writer.set_pod_condition(pod, ENFORCED_CONDITION, wanted, turned=turned)
        except RefusedError as error:  # others' may be written all the same
            log.warning("condition refused", extra={"pod": pod.uid, "cause": str(error)})
            self._metrics.pod_conditions.labels(outcome="failed").inc()
            done.refused_until = done.tried + _APART_SECONDS
            return True
        except UnavailableError as error:
            done.times.pop()
            if not self._pause:
                log.warning("condition not written", extra={"pod": pod.uid, "cause": str(error)})
            self._metrics.pod_conditions.labels(outcome="failed").inc()
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause or 1.0)
            self._paused_until = self._clock() + self._pause
            return False
        except K40sError as error:  # the pod is gone, or others write it as well
            log.info("condition not written", extra={"pod": pod.uid, "cause": str(error)})
            self._metrics.pod_conditions.labels(outcome="failed").inc()
            return True
        self._pause = 0.0
        done.unseen, done.lost = wanted, False
        self._metrics.pod_conditions.labels(outcome="written").inc()
        return True


_OfPod = TypeVar("_OfPod", Condition, StandIn)


def _by_pod(found: Iterable[_OfPod]) -> dict[str, list[_OfPod]]:
    by_pod: dict[str, list[_OfPod]] = {}
    for one in found:
        by_pod.setdefault(one.pod_uid, []).append(one)
    return by_pod
