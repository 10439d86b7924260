"""Moves that have begun: each released pod is evicted when it is replaced, or given back.

All that is needed is on the pod itself, so that the next leader goes on where this one stopped.
Every step can be repeated: an eviction is of one UID, a change of one version.
"""

import logging
from dataclasses import dataclass, replace

from controller.cluster.pods import PodView
from controller.cluster.watched_pods import WatchedPod
from controller.events import ControllerEvents
from controller.metrics import ControllerMetrics, EventReason
from controller.migration.ports import Control
from k40s.annotations import format_release
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.assurance.migration.progress import Step, find_step, is_in_progress, is_replaced
from k40s.assurance.migration.record import Phase, Release
from k40s.errors import UnavailableError
from k40s.kube.records import ObjectRef
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.evictions import Evictor
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

SETTLE = Nanoseconds(NS_PER_S)
"""From the replacement's readiness to the eviction at least: endpoints of Services follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """What this process has done already, and the watch has yet to show."""

    at: int
    step: Step


class Releases:
    """Finishes the moves of released pods."""

    def __init__(
        self,
        *,
        control: Control,
        evictor: Evictor,
        events: ControllerEvents,
        metrics: ControllerMetrics,
        policy: MigrationPolicy,
        retry: Nanoseconds,
        now: Clock,
    ) -> None:
        self._control = control
        self._evictor = evictor
        self._events = events
        self._metrics = metrics
        self._policy = policy
        self._retry = retry
        self._now = now
        self._tried: dict[str, _Finished] = {}
        self._replaced: dict[str, int] = {}

    def advance(self, view: PodView) -> bool:
        """Take the next step of every move; returns whether one is still in progress."""
        released = view.released
        known = {one.record.key for one in released}
        self._tried = {uid: one for uid, one in self._tried.items() if uid in known}
        self._replaced = {uid: at for uid, at in self._replaced.items() if uid in known}
        waiting = 0
        for one in released:
            if one.release is not None:
                waiting += is_in_progress(one.release, self._policy, self._now())
                self._advance(one, one.release, view)
        self._metrics.in_progress.set(len(released))
        return waiting > 0

    def _advance(self, one: WatchedPod, release: Release, view: PodView) -> None:
        pod = one.record.pod
        tried = self._tried.get(pod.uid)
        if pod.deleting or (tried is not None and self._now() - tried.at < self._retry):
            return
        try:
            step = self._find_step(one, release, view)
            if step is Step.EVICT:
                self._evict(one, release)
            elif step is Step.GIVE_BACK:
                self._give_back(one, release)
        except UnavailableError as error:
            self._metrics.count_failure(error)
            extra = {"pod": f"{pod.namespace}/{pod.name}", "cause": str(error)}
            log.warning("move not finished", extra=extra)
            self._tried[pod.uid] = _Finished(at=self._now(), step=Step.WAIT)

    def _find_step(self, one: WatchedPod, release: Release, view: PodView) -> Step:
        pod = one.record.pod
        found, now = self._control.replica_set(pod.namespace, release.replica_set), self._now()
        wanted = found is not None and found.uid == release.replica_set_uid and not pod.ended
        ready = view.ready(release.replica_set_uid, beside=pod.uid)
        replaced_for = None
        if found is not None and is_replaced(release, ready=ready, desired=found.replicas):
            replaced_for = now - self._replaced.setdefault(pod.uid, now)
        else:
            self._replaced.pop(pod.uid, None)
        return find_step(
            release,
            wanted=wanted,
            replaced_for=replaced_for,
            settle=SETTLE if found is None else max(SETTLE, found.min_ready),
            policy=self._policy,
            now=now,
        )

    def _evict(self, one: WatchedPod, release: Release) -> None:
        pod = one.record.pod
        extra = {"pod": f"{pod.namespace}/{pod.name}", "uid": pod.uid, "node": release.node}
        repeated = pod.uid in self._tried and self._tried[pod.uid].step is Step.EVICT
        self._tried[pod.uid] = _Finished(at=self._now(), step=Step.WAIT)
        try:
            self._evictor.evict(pod.namespace, pod.name, uid=pod.uid)
        except TooManyRequestsError as error:
            log.warning("eviction refused for now", extra=extra | {"cause": str(error)})
            self._events.add(
                EventReason.NOT_MIGRATED,
                f"its replacement is ready, and it may not be evicted from {release.node} yet: "
                f"{error}",
                one.reference,
                subject="budget",
            )
            return
        except (NotFoundError, ConflictError):
            return  # it is gone
        self._tried[pod.uid] = _Finished(at=self._now(), step=Step.EVICT)
        if repeated:
            return
        self._metrics.ends["evicted"].inc()
        log.info("replaced pod evicted", extra=extra | {"owner": release.owner})
        took = (self._now() - release.at) / NS_PER_S
        self._events.add(
            EventReason.MIGRATED,
            f"pod {pod.name} left node {release.node}: its replacement was ready after "
            f"{took:.1f} s",
            one.reference,
            _replica_set(one, release),
            subject=pod.uid,
        )

    def _give_back(self, one: WatchedPod, release: Release) -> None:
        pod = one.record.pod
        extra = {"pod": f"{pod.namespace}/{pod.name}", "uid": pod.uid, "node": release.node}
        self._tried[pod.uid] = _Finished(at=self._now(), step=Step.WAIT)
        returned = replace(release, phase=Phase.RETURNED, at=self._now())
        try:
            self._control.mark(
                pod.namespace,
                pod.name,
                uid=pod.uid,
                resource_version=pod.resource_version,
                template_hash=release.template_hash,
                migration=format_release(returned),
            )
        except (NotFoundError, ConflictError):
            return  # it is gone, or the watch shows another version soon
        self._metrics.ends["returned"].inc()
        log.warning("pod given back", extra=extra | {"owner": release.owner})
        self._events.add(
            EventReason.RETURNED,
            f"pod {pod.name} stays on node {release.node}: its replacement was not ready within "
            f"{self._policy.surge_timeout / NS_PER_S:.0f} s",
            one.reference,
            _replica_set(one, release),
            subject=pod.uid,
        )


def _replica_set(one: WatchedPod, release: Release) -> ObjectRef:
    return ObjectRef(
        kind="ReplicaSet",
        namespace=one.record.pod.namespace,
        name=release.replica_set,
        uid=release.replica_set_uid,
        api_version="apps/v1",
    )
