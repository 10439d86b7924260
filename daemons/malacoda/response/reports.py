"""Reports of acts: one log line each, events on the pod and on the Node, metrics."""

import logging
from itertools import count

from daemons.malacoda.actuator.protocol import Answer, Result
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.evidence import log_fields
from daemons.malacoda.culprit.handover import Judgement
from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.response.act_text import describe_act, describe_failure
from daemons.malacoda.response.metrics import ResponseMetrics
from k40s.assurance.response.acts import Act, ActKind
from k40s.kube.records import ObjectRef
from k40s.units import NS_PER_S, Clock

log = logging.getLogger(__name__)

UNREACHABLE = "unreachable"
"""The result of an act that was asked of an actuator that does not answer."""
_MOST_FAILURES = 256
"""Of different pods and acts that are remembered, so that each is reported once."""
_REASONS = {
    ActKind.THROTTLE: EventReason.SUSPECT_THROTTLED,
    ActKind.UNTHROTTLE: EventReason.SUSPECT_RELEASED,
    ActKind.FREEZE: EventReason.SUSPECT_FROZEN,
    ActKind.THAW: EventReason.SUSPECT_RELEASED,
    ActKind.MOVE: EventReason.SUSPECT_MOVED,
    ActKind.MOVE_BACK: EventReason.SUSPECT_RELEASED,
    ActKind.EVICT: EventReason.EVICTION_ASKED,
    ActKind.KILL: EventReason.SUSPECT_KILLED,
}
_LOST = (
    "the actuator does not answer, so no pod is throttled or frozen on this node: whoever causes a "
    "hazard is named only"
)


class ActReports:
    """For one thread. Events wait in ``events``, which another loop sends."""

    def __init__(
        self, *, node: str, events: CulpritEvents, metrics: ResponseMetrics, clock: Clock
    ) -> None:
        self._node = ObjectRef(kind="Node", namespace="", name=node, uid=node)
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._number = count()
        self._failures: dict[tuple[str, ActKind], str] = {}
        self._overwritten = 0
        self._lost = False

    def done(
        self, act: Act, view: PodView, judgement: Judgement, *, answer: Answer, why: str = ""
    ) -> None:
        """An act was carried out, or would have been."""
        self._failures.pop((act.uid, act.kind), None)
        self._count(act, answer.result.value)
        past = self._clock() - judgement.at
        self._metrics.seconds.observe(past / NS_PER_S)
        finding = act.reason.finding
        evidence = {} if finding is None else log_fields(finding, judgement.watched)
        extra = {**evidence, **_fields(act), "result": answer.result.value}
        log.warning("act carried out", extra={**extra, "after_ms": round(past / 1e6, 1)})
        text = describe_act(
            act, judgement.watched, dry_run=answer.result is Result.DRY_RUN, why=why
        )
        self._tell(act, view, _REASONS[act.kind], text, subject=str(next(self._number)))

    def not_done(
        self, act: Act, view: PodView, *, result: str, reason: str = "", text: str = ""
    ) -> None:
        """An act was refused or has failed. The same failure is reported once."""
        self._count(act, result)
        why = f"{result} {reason} {text}"
        if self._failures.get((act.uid, act.kind)) == why:
            return
        self._failures[act.uid, act.kind] = why
        if len(self._failures) > _MOST_FAILURES:
            del self._failures[next(iter(self._failures))]
        extra = {**_fields(act), "result": result, "why": reason, "text": text}
        log.warning("act not carried out", extra=extra)
        described = describe_failure(act, result=result, reason=reason, text=text)
        self._tell(act, view, EventReason.RESPONSE_FAILED, described, subject=f"{act.uid} {why}")

    def connected(self, *, overwritten: int) -> None:
        """The actuator answers. ``overwritten`` is its counter, which begins anew with it."""
        self._metrics.up.set(1)
        self._metrics.overwritten.inc(
            overwritten - self._overwritten if overwritten >= self._overwritten else overwritten
        )
        self._overwritten = overwritten
        if self._lost:
            log.info("actuator reached")
        self._lost = False

    def disconnected(self, cause: str, *, lasting: bool) -> None:
        """The actuator does not answer; ``lasting`` for longer than its restart takes."""
        self._metrics.up.set(0)
        if not self._lost:
            log.warning("actuator unreachable", extra={"cause": cause})
        self._lost = True
        if lasting:
            text = f"{_LOST} ({cause})"
            self._events.add(self._node, EventReason.ACTUATOR_UNREACHABLE, text, subject="")

    def _count(self, act: Act, result: str) -> None:
        self._metrics.acts.labels(act=act.kind.value, result=result).inc()

    def _tell(
        self, act: Act, view: PodView, reason: EventReason, text: str, *, subject: str
    ) -> None:
        self._events.add(self._node, reason, text, subject=subject)
        pod = view.references.get(act.uid)
        if pod is not None:
            self._events.add(pod, reason, text, subject=subject)


def _fields(act: Act) -> dict[str, object]:
    return {
        "act": act.kind.value,
        "pod": act.uid,
        "suspect": act.pod,
        "rule": act.reason.cause.value,
        "quota": None if act.quota is None else float(act.quota),
    }
