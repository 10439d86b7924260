"""Asks the victims of a claim to end, each by its UID and no sooner than a moment after the last.

Each is checked again before it is asked, from the pods that this process watches.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from controller.cluster.watched_pods import WatchedPod
from controller.metrics import PreemptionMetrics
from controller.preemption.planner import Planner
from controller.preemption.reports import Reports
from controller.preemption.subject import as_preemptor
from k40s.annotations import Claim
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.evictions import Evictor
from k40s.units import NS_PER_S, Clock

AGAIN = NS_PER_S
"""Nanoseconds until a victim is asked again that a budget has kept."""
SHOWN_WITHIN = 5 * NS_PER_S
"""Nanoseconds after which the watch shows at the latest that a victim is ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """When a victim may be asked again, and whether its eviction was reported already."""

    again: int
    reported: bool


class VictimEvictor:
    """Evicts. One thread; what it remembers saves requests, and nothing depends on it."""

    def __init__(
        self,
        *,
        evictor: Evictor,
        planner: Planner,
        reports: Reports,
        metrics: PreemptionMetrics,
        now: Clock,
    ) -> None:
        self._evictor = evictor
        self._planner = planner
        self._reports = reports
        self._metrics = metrics
        self._now = now
        self._asked: dict[str, _Asked] = {}

    def keep_only(self, uids: Collection[str]) -> None:
        """Forget victims that are gone, and times of a clock that was set back."""
        latest = self._now() + SHOWN_WITHIN
        self._asked = {
            uid: one for uid, one in self._asked.items() if uid in uids and one.again <= latest
        }

    def evict(self, one: WatchedPod, claim: Claim, victims: Sequence[WatchedPod]) -> None:
        """Ask those that were not asked just now. A request that fails is repeated later."""
        preemptor = as_preemptor(one)
        if preemptor is None:
            return
        now = self._now()
        due = [
            victim
            for victim in victims
            if victim.record.key not in self._asked or self._asked[victim.record.key].again <= now
        ]
        faulty = self._planner.find_faulty(preemptor, claim.node, due)
        for victim in due:
            if victim.record.key not in faulty:
                self._ask(one, claim, victim)

    def _ask(self, one: WatchedPod, claim: Claim, victim: WatchedPod) -> None:
        pod, now = victim.record.pod, self._now()
        former = self._asked.get(pod.uid)
        reported = former is not None and former.reported
        self._asked[pod.uid] = _Asked(again=now + AGAIN, reported=reported)
        try:
            self._evictor.evict(pod.namespace, pod.name, uid=pod.uid)
        except TooManyRequestsError as error:
            self._reports.held_up(one, victim, claim.node, error)
        except (NotFoundError, ConflictError):
            self._asked[pod.uid] = _Asked(again=now + SHOWN_WITHIN, reported=reported)  # it is gone
        except UnavailableError as error:
            self._metrics.evictions["failed"].inc()
            self._reports.failed(one, error)
        else:
            self._asked[pod.uid] = _Asked(again=now + SHOWN_WITHIN, reported=True)
            if not reported:
                self._reports.evicted(one, victim, claim.node)
