"""A cluster in memory: nodes with levels, pods, and the controllers of Kubernetes that own them.

It implements the ports of ``controller.migration``. Time is the test's; ``pass_time`` lets the
controllers of Kubernetes act: ReplicaSets release, adopt, create and delete pods, a scheduler binds
them where the level suffices, kubelet makes them ready and removes what was evicted.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.cluster.nodes import NodeLevel
from controller.cluster.pods import PodView
from controller.cluster.watched_pods import WatchedPod, watch_pod
from controller.extender_client import FilterAnswer
from k40s.assurance.level import DEFAULT_THRESHOLDS, fitness
from k40s.assurance.migration.placement import NodeOffer, Taint
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.kube.objects.managed_pods import ControllerRef, managed_pod_record
from k40s.kube.records import ObjectRef
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.pod_control import DeploymentRecord, ReplicaSetRecord
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = 1_800_000_000 * NS_PER_S
HASH = "5d4f8c7b9"
Pod = dict[str, Any]


class CrashError(BaseException):
    """The controller's process ends here; nothing may catch it."""


@dataclass
class Owner:
    """A ReplicaSet (of a Deployment), or another controller that keeps a number of pods."""

    kind: str
    name: str
    uid: str
    replicas: int
    criticality: str
    deployment: str = ""
    selector: dict[str, str] = field(default_factory=dict)
    min_ready: int = 0


@dataclass
class FakeCluster:
    """Everything at once; ``crash_at`` is the number of the write that ends the process."""

    now: int = START
    start_seconds: float = 3.0
    levels_by_node: dict[str, int | None] = field(default_factory=dict)
    taints: dict[str, tuple[Taint, ...]] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    items: dict[str, Pod] = field(default_factory=dict)
    services: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    surges: bool = True
    never_ready: bool = False
    grace_seconds: float = 0.0
    listings: int = 0
    may_evict: Callable[[Pod], bool] = lambda _pod: True
    extender_down: bool = False
    unwanted: set[str] = field(default_factory=set)
    crash_at: int | None = None
    crash_after: bool = False
    writes: list[str] = field(default_factory=list)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    said: list[tuple[str, str, str]] = field(default_factory=list)
    left: list[tuple[int, str, str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    leading: bool = True
    least_ready: dict[str, int] = field(default_factory=dict)
    _serial: int = 0
    _watched: dict[str, tuple[str, WatchedPod]] = field(default_factory=dict)

    # What a test sets up

    def clock(self) -> int:
        return self.now

    def add_deployment(
        self, name: str, *, node: str, replicas: int = 1, criticality: str = "HI"
    ) -> None:
        """A Deployment whose pods run on a node."""
        owner = Owner(
            kind="ReplicaSet",
            name=f"{name}-{HASH}",
            uid=f"rs-{name}",
            replicas=replicas,
            criticality=criticality,
            deployment=name,
            selector={"app": name, "pod-template-hash": HASH},
        )
        self._add_owner(owner, node)

    def add_owner(
        self, kind: str, name: str, *, node: str, replicas: int = 1, criticality: str = "HI"
    ) -> None:
        """A StatefulSet, a Job or whatever keeps pods."""
        uid = f"{kind}-{name}".lower()
        owner = Owner(
            kind=kind,
            name=name,
            uid=uid,
            replicas=replicas,
            criticality=criticality,
            selector={"app": name},
        )
        self._add_owner(owner, node)

    def add_bare(self, name: str, *, node: str, criticality: str = "HI") -> Pod:
        """A pod without a controller, ready on a node."""
        pod = self._create({"app": name}, criticality, name=name)
        self._run(pod, node)
        return pod

    def _add_owner(self, owner: Owner, node: str) -> None:
        self.owners[owner.uid] = owner
        for _ in range(owner.replicas):
            self._run(self._create(owner.selector, owner.criticality, owner=owner), node)

    # Time and the controllers of Kubernetes

    def pass_time(self, seconds: float) -> None:
        """Let time pass, then let everybody act once."""
        self.now += int(seconds * NS_PER_S)
        for uid, pod in list(self.items.items()):
            if (
                "deletionTimestamp" in pod["metadata"]
                and self.now - pod["deleted"] > self.grace_seconds * NS_PER_S
            ):
                del self.items[uid]
        for owner in self.owners.values():
            self._reconcile(owner)
        for pod in self.items.values():
            self._schedule(pod)
        for name, owner in self.owners.items():
            ready = self.ready_of(owner)
            self.least_ready[name] = min(ready, self.least_ready.get(name, ready))

    def ready_of(self, owner: Owner) -> int:
        """Ready pods that a Service which selects ``app`` sends requests to."""
        app = owner.selector["app"]
        return sum(
            _is_ready(pod)
            for pod in self.items.values()
            if pod["metadata"]["labels"]["app"] == app
            and "deletionTimestamp" not in pod["metadata"]
        )

    def _reconcile(self, owner: Owner) -> None:
        for pod in self.items.values():
            matches = owner.selector.items() <= pod["metadata"]["labels"].items()
            mine = _controller(pod) == owner.uid
            if mine and not matches:
                pod["metadata"]["ownerReferences"] = []
                self._touch(pod)
            elif matches and not _controller(pod):
                pod["metadata"]["ownerReferences"] = [_owner_reference(owner)]
                self._touch(pod)
        own = [
            pod
            for pod in self.items.values()
            if _controller(pod) == owner.uid
            and (owner.kind == "StatefulSet" or "deletionTimestamp" not in pod["metadata"])
        ]  # a StatefulSet waits for the end of the pod that it replaces
        for _ in range(owner.replicas - len(own)):
            self._create(owner.selector, owner.criticality, owner=owner)
        own.sort(key=lambda pod: (_is_ready(pod), bool(pod["spec"].get("nodeName"))))
        for pod in own[: max(0, len(own) - owner.replicas)]:  # the least useful first
            self._delete(pod)

    def _schedule(self, pod: Pod) -> None:
        if not pod["spec"].get("nodeName"):
            criticality = Criticality[pod["metadata"]["annotations"]["k40s.io/criticality"]]
            fit = [
                name
                for name, level in sorted(self.levels_by_node.items())
                if level is not None and fitness(level, criticality) and not self.taints.get(name)
            ]
            if fit:
                self._serial += 1
                pod["spec"]["nodeName"] = fit[self._serial % len(fit)]
                pod["status"]["phase"] = "Running"
                pod["bound"] = self.now
                self._touch(pod)
        elif (
            not (_is_ready(pod) or self.never_ready)
            and self.now - pod.get("bound", self.now) >= self.start_seconds * NS_PER_S
        ):
            pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
            self._touch(pod)

    def _create(
        self,
        labels: Mapping[str, str],
        criticality: str,
        *,
        owner: Owner | None = None,
        name: str = "",
    ) -> Pod:
        self._serial += 1
        uid = f"uid-{self._serial}"
        created = EPOCH + timedelta(seconds=self.now // NS_PER_S)
        pod: Pod = {
            "metadata": {
                "uid": uid,
                "namespace": "default",
                "name": name or f"{owner.name if owner else 'pod'}-{self._serial}",
                "labels": dict(labels),
                "annotations": {"k40s.io/criticality": criticality},
                "resourceVersion": str(self._serial),
                "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "ownerReferences": [] if owner is None else [_owner_reference(owner)],
            },
            "spec": {"containers": [{"name": "main"}], "schedulerName": "k40s-scheduler"},
            "status": {"phase": "Pending"},
        }
        self.items[uid] = pod
        return pod

    def _run(self, pod: Pod, node: str) -> None:
        pod["spec"]["nodeName"] = node
        created = EPOCH + timedelta(seconds=self.now // NS_PER_S - 86_400)
        pod["metadata"]["creationTimestamp"] = created.strftime("%Y-%m-%dT%H:%M:%SZ")
        pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

    def _touch(self, pod: Pod) -> None:
        self._serial += 1
        pod["metadata"]["resourceVersion"] = str(self._serial)

    def _delete(self, pod: Pod) -> None:
        pod["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        pod.setdefault("deleted", self.now)
        self._touch(pod)

    # WatchedCluster

    def levels(self) -> Mapping[str, NodeLevel]:
        return {
            name: NodeLevel(level=level, reason=Reason.ASSURANCE_STALE if level is None else None)
            for name, level in self.levels_by_node.items()
        }

    def pods(self) -> PodView:
        for uid, item in self.items.items():
            version = item["metadata"]["resourceVersion"]
            if self._watched.get(uid, ("", None))[0] != version:
                copied = copy.deepcopy(item)
                self._watched[uid] = (version, watch_pod(managed_pod_record(copied)))
        found = {uid: self._watched[uid][1] for uid in self.items}
        return PodView(
            pods={
                uid: one
                for uid, one in found.items()
                if one.record.pod.node or one.owner or one.release is not None
            }
        )

    # Control

    def pod(self, namespace: str, name: str) -> Pod:
        return copy.deepcopy(self._find(namespace, name))

    def nodes(self) -> list[NodeOffer]:
        self.listings += 1
        return [
            NodeOffer(name=name, labels={}, taints=self.taints.get(name, ()), cpu_millis=4000)
            for name in self.levels_by_node
        ]

    def replica_set(self, namespace: str, name: str) -> ReplicaSetRecord | None:
        assert namespace == "default"
        for owner in self.owners.values():
            if owner.name == name and owner.kind == "ReplicaSet":
                above = ControllerRef(
                    kind="Deployment",
                    name=owner.deployment,
                    uid=f"d-{owner.deployment}",
                    api_version="apps/v1",
                )
                return ReplicaSetRecord(
                    name=name,
                    uid=owner.uid,
                    replicas=owner.replicas,
                    min_ready=Nanoseconds(owner.min_ready * NS_PER_S),
                    controller=above if owner.deployment else None,
                )
        return None

    def deployment(self, namespace: str, name: str) -> DeploymentRecord | None:
        assert namespace == "default"
        return DeploymentRecord(name=name, uid=f"d-{name}", surges=self.surges)

    def service_selectors(self, namespace: str) -> list[tuple[str, Mapping[str, str]]]:
        assert namespace == "default"
        return self.services

    def mark(
        self,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str,
        template_hash: str,
        migration: str,
    ) -> None:
        def apply() -> None:
            pod = self._find(namespace, name)
            meta = pod["metadata"]
            if (meta["uid"], meta["resourceVersion"]) != (uid, resource_version):
                raise ConflictError("the object has been modified")
            if meta["labels"]["pod-template-hash"] == HASH:
                self.left.append((self.now, meta["labels"]["app"], pod["spec"]["nodeName"]))
            meta["labels"]["pod-template-hash"] = template_hash
            meta["annotations"]["status.k40s.io/migration"] = migration
            self._touch(pod)

        self._write(f"mark {template_hash}", apply)

    # Evictor

    def evict(self, namespace: str, name: str, *, uid: str, dry_run: bool = False) -> None:
        def apply() -> None:
            pod = self._find(namespace, name)
            if pod["metadata"]["uid"] != uid:
                raise ConflictError("another pod has this name")
            if not self.may_evict(pod):
                raise TooManyRequestsError("would violate the pod's disruption budget")
            if dry_run:
                return
            labels = pod["metadata"]["labels"]
            if "deletionTimestamp" not in pod["metadata"] and not labels.get(
                "pod-template-hash", ""
            ).endswith("-migrating"):
                self.left.append((self.now, labels["app"], pod["spec"]["nodeName"]))
            self._delete(pod)

        if dry_run:
            apply()
        else:
            self._write("evict", apply)

    # Filter

    def ask(self, pod: Mapping[str, Any], nodes: Sequence[str]) -> FilterAnswer:
        self.asked.append((pod["metadata"]["name"], tuple(nodes)))
        if self.extender_down:
            raise UnavailableError("POST /scheduler/dry-run: refused")
        criticality = Criticality[pod["metadata"]["annotations"]["k40s.io/criticality"]]
        fit = tuple(
            name
            for name in nodes
            if pod["metadata"]["labels"]["app"] not in self.unwanted
            and (level := self.levels_by_node[name]) is not None
            and fitness(level, criticality, DEFAULT_THRESHOLDS)
        )
        too_low = f"{Reason.ASSURANCE_TOO_LOW.value}: {Reason.ASSURANCE_TOO_LOW.text}"
        return FilterAnswer(fit=fit, refused={n: too_low for n in nodes if n not in fit})

    # Leadership

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.notes

    def annotate(self, annotations: Mapping[str, str]) -> None:
        def apply() -> None:
            if not self.leading:
                raise ConflictError("not the leader")
            self.notes.update(annotations)

        self._write("history", apply)

    # EventWriter

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        del warning, once
        assert component == "k40s-controller"
        self.said.append((reason, f"{about.kind} {about.name}", message))

    def _write(self, what: str, apply: Callable[[], None]) -> None:
        number = len(self.writes)
        self.writes.append(what)
        if number == self.crash_at and not self.crash_after:
            raise CrashError
        apply()
        if number == self.crash_at:
            raise CrashError

    def _find(self, namespace: str, name: str) -> Pod:
        for pod in self.items.values():
            meta = pod["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, name):
                return pod
        raise NotFoundError(f"pod {name}")


def _controller(pod: Pod) -> str:
    references = pod["metadata"]["ownerReferences"]
    return str(references[0]["uid"]) if references else ""


def _is_ready(pod: Pod) -> bool:
    return any(one["type"] == "Ready" for one in pod["status"].get("conditions", []))


def _owner_reference(owner: Owner) -> dict[str, Any]:
    return {
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "apiVersion": "apps/v1",
        "controller": True,
    }
