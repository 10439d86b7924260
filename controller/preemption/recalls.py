"""Has kube-scheduler try a pod again whose victims are gone and that is not bound yet."""

import logging
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, replace

from controller.cluster.watched_pods import WatchedPod
from controller.preemption.ports import Control
from k40s.annotations import Claim, format_claim
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.units import NS_PER_S, NS_PER_US, Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recall:
    """When a pod of the claim of that time is to be recalled next, ``pause`` after the last one."""

    at: int
    due: int
    pause: int


class Recalls:
    """One thread."""

    def __init__(self, *, control: Control, now: Clock) -> None:
        self._control = control
        self._now = now
        self._recalls: dict[str, _Recall] = {}

    def keep_only(self, pods: Container[str]) -> None:
        """Forget all pods but these, by UID."""
        self._recalls = {uid: one for uid, one in self._recalls.items() if uid in pods}

    def recall(self, one: WatchedPod, claim: Claim) -> None:
        """Change the pod if it is time, less and less often while it stays unbound.

        kube-scheduler tried at the end of the last victim, or at the node's new state, maybe
        milliseconds before the extender had heard of either, and hears of nothing else. The claim
        is written with an end a microsecond later. Raises ``UnavailableError``.
        """
        pod, now = one.record.pod, self._now()
        recall = self._recalls.get(pod.uid)
        if recall is None or recall.at != claim.at:
            recall = _Recall(at=claim.at, due=now + NS_PER_S, pause=NS_PER_S)
        elif now >= recall.due:
            pause = 2 * recall.pause
            recall = _Recall(at=claim.at, due=now + pause, pause=pause)
            with suppress(ConflictError, NotFoundError):  # the watch shows it soon
                self._control.set_claim(
                    pod.namespace,
                    pod.name,
                    uid=pod.uid,
                    resource_version=pod.resource_version,
                    claim=format_claim(replace(claim, until=claim.until + NS_PER_US)),
                )
            log.info("pod recalled", extra={"pod": f"{pod.namespace}/{pod.name}", "uid": pod.uid})
        self._recalls[pod.uid] = recall
