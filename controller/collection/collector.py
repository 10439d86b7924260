"""Looks at every ledger: gives reservations back, and writes what a status says of itself.

One look makes at most one write for each object, conditional on the version that was looked at.
Pods whose reservations would be removed are first asked for at the API server, so a cache that lags
behind costs a request and never a reservation. No step is remembered: the next leader looks and
concludes the same.
"""

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from controller.collection.expiry import ExpiryWatch
from controller.collection.ports import Leadership, Ledger, PodSource
from controller.metrics import CollectionMetrics
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.ledger.collection import (
    CollectionPlan,
    EntryKey,
    Fate,
    PodFact,
    collect,
    find_suspects,
)
from k40s.ledger.entry import Entry, Owner
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

E = TypeVar("E", bound=Entry)
S = TypeVar("S")

log = logging.getLogger(__name__)

SPACING = Nanoseconds(NS_PER_S)
"""Between two writes to one object: the extender's are conditional on the version as well."""
QUIET = Nanoseconds(2 * NS_PER_S)
"""So long an object has to be unchanged before what is only for people is written."""
PATIENCE = Nanoseconds(10 * NS_PER_S)
"""After so long it is written although the Network keeps changing."""
ASK_AGAIN = Nanoseconds(15 * NS_PER_S)
"""Until a pod is asked for again whose answer kept its reservation."""
_LONGEST_LOOK = Nanoseconds(5 * NS_PER_S)


_TOLD_BY_OTHERS = frozenset({Fate.GONE, Fate.ENDED})
"""kube-scheduler sees the end of a pod by itself."""
_Question = tuple[str, tuple[Entry, ...], Hashable]
"""What a summary depends on: version, reservations, what is around."""


@dataclass
class _Track(Generic[S]):
    """One object across looks."""

    expiry: ExpiryWatch
    version: str = ""
    version_since: int = 0
    looked_at: int = 0
    concluded_at: int = 0
    written_at: int | None = None
    tried_version: str = ""
    asked: dict[str, int] = field(default_factory=dict)
    answer: tuple[_Question, S] | None = None


class Collector(Generic[E, S]):
    """``tick`` looks once. It observes always, and acts only while this process leads."""

    def __init__(
        self,
        *,
        what: str,
        ledgers: Callable[[], Mapping[str, Ledger[E, S]]],
        cached: Callable[[], Mapping[str, PodFact]],
        pods: PodSource,
        leadership: Leadership,
        metrics: CollectionMetrics,
        backoff: Backoff,
        clock: Clock,
        wall: WallClock,
        on_freed: Callable[[], None] = lambda: None,
    ) -> None:
        """``ledgers`` are the objects of a kind, by name; log lines name one as ``what``.

        ``cached`` are all pods by UID, as a watch has shown them; ``pods`` asks for one.
        ``on_freed`` is called when something was given back without the end of a pod.
        """
        self._on_freed = on_freed
        self._what = what
        self._ledgers = ledgers
        self._cached = cached
        self._pods = pods
        self._leadership = leadership
        self._metrics = metrics
        self._backoff = backoff
        self._clock = clock
        self._wall = wall
        self._tracks: dict[str, _Track[S]] = {}

    def tick(self) -> None:
        """Look at all objects, those that were looked at longest ago first."""
        ledgers = self._ledgers()
        tracks = {name: self._tracks.pop(name, None) for name in ledgers}
        self._tracks = {
            name: track or _Track(expiry=ExpiryWatch(clock=self._clock, wall=self._wall))
            for name, track in tracks.items()
        }
        pods = self._cached()
        end = self._clock() + _LONGEST_LOOK
        for name, track in sorted(self._tracks.items(), key=lambda one: one[1].looked_at):
            ledger = ledgers[name]
            expired = self._observe(track, ledger)
            if not self._leadership.leading or self._backoff.active or self._clock() >= end:
                continue
            if self._must_wait(track):
                continue
            track.looked_at = self._clock()
            plan = self._plan(track, ledger, pods, expired, end)
            if not (plan.changes or self._is_quiet(track)):
                continue
            summary = self._summarize(track, ledger, plan)
            if plan.changes or summary != ledger.summary:
                self._write(name, track, ledger, plan, summary)

    def _observe(self, track: _Track[S], ledger: Ledger[E, S]) -> frozenset[EntryKey]:
        if ledger.version != track.version:
            track.version, track.version_since = ledger.version, self._clock()
        return track.expiry.expired(ledger.reservations or ())

    def _must_wait(self, track: _Track[S]) -> bool:
        """Whether the watch has yet to show the last write, or that was just now."""
        if track.written_at is None:
            return False
        since = self._clock() - track.written_at
        return since < SPACING or (track.version == track.tried_version and since < PATIENCE)

    def _plan(
        self,
        track: _Track[S],
        ledger: Ledger[E, S],
        cached: Mapping[str, PodFact],
        expired: frozenset[EntryKey],
        end: int,
    ) -> CollectionPlan[E]:
        reservations = ledger.reservations or ()
        suspects = {
            one.owner.uid: one.owner for one in find_suspects(reservations, cached, expired)
        }
        facts: dict[str, PodFact | None] = dict(cached)
        now = self._clock()
        track.asked = {uid: at for uid, at in track.asked.items() if now - at < ASK_AGAIN}
        for uid, owner in suspects.items():
            facts.pop(uid, None)
            if uid not in track.asked and self._clock() < end and not self._backoff.active:
                self._ask(owner, track, facts)
        plan = ledger.complete(collect(reservations, facts, expired))
        for removal in plan.removed:  # a write that fails is tried again with a fresh answer
            track.asked.pop(removal.reservation.owner.uid, None)
        return plan

    def _ask(self, owner: Owner, track: _Track[S], facts: dict[str, PodFact | None]) -> None:
        """The fact of one pod; where it cannot be had, nothing is known of it."""
        try:
            found = self._pods.get_pod(owner.namespace, owner.name)
        except UnreadableError as error:
            extra = {"pod": f"{owner.namespace}/{owner.name}", "cause": str(error)}
            log.warning("pod of a reservation not understood", extra=extra)
        except UnavailableError as error:
            self._backoff.failed("pod of a reservation not read", error)
            return
        else:
            same = found is not None and found.uid == owner.uid
            facts[owner.uid] = (
                PodFact(node=found.node, ended=found.ended) if found is not None and same else None
            )
        track.asked[owner.uid] = self._clock()

    def _summarize(self, track: _Track[S], ledger: Ledger[E, S], plan: CollectionPlan[E]) -> S:
        """Conclude what is to be said; the same question gets the same answer without work."""
        question = (track.version, plan.reservations, ledger.question)
        if track.answer is None or track.answer[0] != question:
            readable = ledger.reservations is not None
            found = ledger.summarize(plan.reservations if readable else None, self._wall())
            track.answer = (question, found)
        return track.answer[1]

    def _is_quiet(self, track: _Track[S]) -> bool:
        """Whether what is only for people may be written; what frees or binds never waits."""
        now = self._clock()
        if now - track.version_since < QUIET and now - track.concluded_at < PATIENCE:
            return False
        track.concluded_at = now
        return True

    def _write(
        self,
        name: str,
        track: _Track[S],
        ledger: Ledger[E, S],
        plan: CollectionPlan[E],
        summary: S,
    ) -> None:
        if not self._leadership.leading:  # asking for pods may have taken long
            return
        track.tried_version, track.written_at = ledger.version, self._clock()
        try:
            ledger.write(summary, plan.reservations if plan.changes else None)
        except (ConflictError, NotFoundError):
            self._metrics.writes["conflict"].inc()
            return  # the watch shows another version soon
        except UnavailableError as error:
            self._metrics.writes["failed"].inc()
            self._backoff.failed("status not written", error)
            return
        self._backoff.succeeded()
        self._metrics.writes["written"].inc()
        if any(one.fate not in _TOLD_BY_OTHERS for one in plan.removed):
            self._on_freed()
        for one in plan.removed:
            owner = one.reservation.owner
            self._metrics.collected[one.fate].inc()
            extra = {
                self._what: name,
                "pod": f"{owner.namespace}/{owner.name}",
                "uid": owner.uid,
                "node": one.reservation.node,
                "cause": one.fate.value,
            }
            log.info("reservation collected", extra=extra)
