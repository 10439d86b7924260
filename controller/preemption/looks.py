"""One look at the pods: advance claims that stand, then claim room for pods that need it."""

from collections import Counter

from controller.cluster.pods import PodView
from controller.leadership import Leadership
from controller.metrics import PreemptionMetrics
from controller.preemption.begin import Beginner
from controller.preemption.claims import Claims
from controller.preemption.past import Past
from controller.preemption.ports import WatchedPods
from controller.preemption.subject import as_preemptor
from controller.preemption_rules.candidates import Obstacle, Preemptor, find_limit, order
from controller.preemption_rules.policy import PreemptionPolicy
from controller.preemption_rules.progress import End
from k40s.annotations.preemption_history import PreemptionHistory
from k40s.units import NS_PER_S, Clock

_MOST_ASKED = 8
"""Pods whose plan is asked for in one look: each costs requests."""
_LONGEST_LOOK = NS_PER_S
"""Nanoseconds after which no further plan is asked for in one look: claims that stand wait."""
_SOON = NS_PER_S
"""Nanoseconds until a pod with a passing obstacle is tried again."""
_RECALL_AFTER = 3 * NS_PER_S
"""Nanoseconds for which no replica of the extender knows a pod until the scheduler is to ask."""
_AFTER_STALE = 3 * NS_PER_S
"""Nanoseconds until another plan is made for a pod whose first one stood no more."""
_PASSING = (End.STALE, End.RECALLED)
_SHOWN_WITHIN = 5 * NS_PER_S
"""Nanoseconds after which the watch shows at the latest what this process has claimed."""


class PreemptionLooks:
    """``tick`` is called several times a second, in one thread. Only a leader acts."""

    def __init__(
        self,
        *,
        pods: WatchedPods,
        leadership: Leadership,
        claims: Claims,
        beginner: Beginner,
        past: Past,
        metrics: PreemptionMetrics,
        policy: PreemptionPolicy,
        scheduler: str,
        enabled: bool,
        dry_run: bool,
        now: Clock,
    ) -> None:
        """``now`` is the wall clock, in nanoseconds since 1970."""
        self._pods = pods
        self._leadership = leadership
        self._claims = claims
        self._beginner = beginner
        self._past = past
        self._metrics = metrics
        self._policy = policy
        self._scheduler = scheduler
        self._enabled = enabled
        self._dry_run = dry_run
        self._now = now
        self._seen = 0
        self._since: dict[str, int] = {}
        self._refused: dict[str, tuple[int, Obstacle]] = {}
        self._claimed: dict[str, tuple[int, str]] = {}
        self._due: dict[str, int] = {}
        self._recalled: dict[str, tuple[int, int]] = {}  # when it is recalled next, after a pause
        self._pauses: dict[str, int] = {}

    def tick(self) -> None:
        """Look once. What is seen counts in every replica, so that a new leader knows it."""
        view, now = self._pods.view(), self._now()
        if now < self._seen:  # the clock was set back: nothing waits for what it showed before
            for table in (self._since, self._refused, self._claimed, self._recalled, self._due):
                table.clear()
        self._seen = now
        found = filter(None, map(as_preemptor, view.waiting(self._scheduler)))
        waiting = {one.uid: one for one in found}
        self._since = {uid: self._since.get(uid, now) for uid in waiting}
        self._due = {uid: self._due.get(uid, now + self._policy.hold_off) for uid in waiting}
        self._pauses = {uid: pause for uid, pause in self._pauses.items() if uid in waiting}
        self._refused = {
            uid: (until, why)
            for uid, (until, why) in self._refused.items()
            if uid in waiting and now < until
        }
        if not self._leadership.leading:
            self._claimed = {}
            self._metrics.show_waiting(Counter())
            self._metrics.claims.set(0)
            return
        if not self._dry_run:
            for uid, end in self._claims.advance(view).items():
                self._claimed.pop(uid, None)
                pause = _AFTER_STALE if end in _PASSING else self._policy.retry
                self._put_off(uid, now + pause, Obstacle.OVERTAKEN)
        if self._enabled:
            self._begin([one for uid, one in waiting.items() if not view.pods[uid].claiming], view)

    def _begin(self, waiting: list[Preemptor], view: PodView) -> None:
        history = self._past.read(PreemptionHistory())
        if history is None:
            self._metrics.show_waiting(Counter())
            return
        busy = self._busy(view)
        obstacles: Counter[Obstacle] = Counter()
        asked, end = 0, self._now() + _LONGEST_LOOK
        for pod in order(waiting, self._due):
            if pod.uid in self._claimed:
                continue
            obstacle = self._find_obstacle(pod, history)
            if obstacle is None and (asked >= _MOST_ASKED or self._now() >= end):
                obstacle = Obstacle.IN_TURN
            if obstacle is None:
                asked += 1
                found = self._beginner.begin(pod, view, history, busy)
                if found is not Obstacle.UNKNOWN:
                    self._recalled.pop(pod.uid, None)
                if not isinstance(found, Obstacle):
                    self._claimed[pod.uid] = (self._now(), found)
                    busy[found] = self._now()
                    continue
                obstacle = found
                if found is Obstacle.UNKNOWN:
                    self._recall(pod)
                self._refuse(pod, found)
                if found is Obstacle.FAILED:  # the others would wait for the same timeout
                    asked = _MOST_ASKED
            obstacles[obstacle] += 1
        self._metrics.show_waiting(obstacles)

    def _refuse(self, pod: Preemptor, why: Obstacle) -> None:
        """Leave it for a while, which doubles each time up to the policy's.

        A pod that stays unknown although it was recalled is one that kube-scheduler's own filters
        refuse everywhere: it costs several connections each time, and is left for longer too.
        """
        pause = _SOON
        unknown = why is Obstacle.UNKNOWN
        recalled = self._recalled.get(pod.uid, (0, 0))[1] > _RECALL_AFTER
        if recalled if unknown else not (why.passing or why is Obstacle.FITS):
            pause = min(2 * self._pauses.get(pod.uid, _SOON), self._policy.retry)
            self._pauses[pod.uid] = pause
        self._put_off(pod.uid, self._now() + pause, why)

    def _put_off(self, uid: str, until: int, why: Obstacle) -> None:
        self._refused[uid] = (until, why)
        self._due[uid] = until

    def _recall(self, pod: Preemptor) -> None:
        """The extender has been restarted, maybe, and the scheduler need not ask it for minutes.

        Less and less often: where that does not help, the scheduler has no node to ask about.
        """
        now = self._now()
        self._recalled = {uid: one for uid, one in self._recalled.items() if uid in self._since}
        due, pause = self._recalled.setdefault(pod.uid, (now + _RECALL_AFTER, _RECALL_AFTER))
        if now >= due:
            longest = max(self._policy.rest, self._policy.retry)
            pause = min(max(2 * pause, self._policy.retry), longest)
            self._recalled[pod.uid] = (now + pause, pause)
            self._beginner.recall(pod)

    def _busy(self, view: PodView) -> dict[str, int]:
        """Since when nodes are claimed, those among them that the watch has yet to show."""
        now = self._now()
        shown = {one.record.key: one.claim for one in view.claiming}
        self._claimed = {
            uid: (at, node)
            for uid, (at, node) in self._claimed.items()
            if uid not in shown and uid in view.pods and now - at < _SHOWN_WITHIN
        }
        since = {node: at for at, node in self._claimed.values()}
        return since | {claim.node: claim.at for claim in shown.values() if claim is not None}

    def _find_obstacle(self, pod: Preemptor, history: PreemptionHistory) -> Obstacle | None:
        now = self._now()
        if now - self._since[pod.uid] < self._policy.hold_off:
            return Obstacle.HOLD_OFF
        if pod.uid in self._refused:
            return self._refused[pod.uid][1]
        limit = find_limit(pod, history, self._policy, now, victims=1)
        if limit is not None:
            self._beginner.report(pod, limit)
        return limit
