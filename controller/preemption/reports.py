"""What is said of preemptions: log lines, events on the pod and on its victims, metrics."""

import logging
from collections.abc import Sequence

from controller.cluster.watched_pods import WatchedPod
from controller.events import ControllerEvents
from controller.metrics import ControllerMetrics, EventReason, PreemptionMetrics
from controller.preemption.planner import describe
from controller.preemption_rules.progress import End
from k40s.annotations import Claim
from k40s.errors import UnavailableError
from k40s.kube.records import ObjectRef
from k40s.units import NS_PER_S

log = logging.getLogger(__name__)

_FAILURES = {
    End.LOST: "all of them went, and it was not bound in time",
    End.EXPIRED: "not all of them went in time",
}


class Reports:
    """One thread. Events have constant texts: figures are in the log."""

    def __init__(
        self, *, events: ControllerEvents, metrics: PreemptionMetrics, controller: ControllerMetrics
    ) -> None:
        self._events = events
        self._metrics = metrics
        self._controller = controller

    def begun(self, one: WatchedPod, claim: Claim, victims: Sequence[WatchedPod]) -> None:
        """The first victim is about to be evicted."""
        self._metrics.begun.inc()
        names = [f"{victim.namespace}/{victim.name}" for victim in claim.victims]
        extra = {**_facts(one), "node": claim.node, "victims": names}
        log.info("preemption begun", extra=extra)
        self._events.add(
            EventReason.PREEMPTS,
            f"less critical pods are evicted from node {claim.node} for it ({describe(victims)})",
            one.reference,
            subject=claim.node,
        )

    def evicted(self, one: WatchedPod, victim: WatchedPod, node: str) -> None:
        """The API server has taken the eviction of a victim."""
        self._metrics.evictions["evicted"].inc()
        facts = {**_facts(one), "node": node, "victim": _name(victim)}
        log.info("victim evicted", extra=facts)
        criticality = "" if one.criticality is None else f"{one.criticality.name} "
        self._events.add(
            EventReason.PREEMPTED,
            f"evicted from node {node}: a {criticality}pod needs its room",
            victim.reference,
        )

    def held_up(self, one: WatchedPod, victim: WatchedPod, node: str, error: Exception) -> None:
        """A budget refuses a victim although all were allowed before: nobody takes its place."""
        self._metrics.evictions["held-up"].inc()
        if self._events.add(
            EventReason.PREEMPTION_HELD_UP,
            f"a PodDisruptionBudget keeps a less critical pod on node {node} that has to go for it",
            one.reference,
            ObjectRef(
                kind="Pod",
                namespace=victim.record.pod.namespace,
                name=victim.record.pod.name,
                uid=victim.record.key,
            ),
            subject=victim.record.key,
        ):
            facts = {**_facts(one), "node": node, "victim": _name(victim), "cause": str(error)}
            log.warning("victim held by a budget", extra=facts)

    def failed(self, one: WatchedPod, error: UnavailableError) -> None:
        """A request failed; the step is repeated."""
        self._controller.count_failure(error)
        log.warning("preemption not advanced", extra={**_facts(one), "cause": str(error)})

    def ended(self, one: WatchedPod, claim: Claim | None, end: End, now: int) -> None:
        """A claim was withdrawn."""
        self._metrics.ends[end].inc()
        facts = {**_facts(one), "outcome": end.value}
        if claim is not None:
            facts |= {"node": claim.node, "seconds": round((now - claim.at) / NS_PER_S, 1)}
        if end not in _FAILURES or claim is None:
            log.info("claim withdrawn", extra=facts)
            return
        log.error("preemption failed", extra=facts)
        self._events.add(
            EventReason.PREEMPTION_FAILED,
            f"less critical pods were to go from node {claim.node} for it: {_FAILURES[end]}",
            one.reference,
            subject=end.value,
        )


def _facts(one: WatchedPod) -> dict[str, object]:
    return {"pod": _name(one), "uid": one.record.key}


def _name(one: WatchedPod) -> str:
    return f"{one.record.pod.namespace}/{one.record.pod.name}"
