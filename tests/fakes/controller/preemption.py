"""A cluster in memory for preemption: nodes with units of room, pods that take some, budgets.

It implements the ports of ``controller.preemption`` and the extender's plan by brute force. Every
request is numbered, so that a test can end the process at any one, before or after its effect.
``pass_time`` lets kubelets end pods, and the scheduler bind those that find room beside claims.
"""

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import combinations
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from controller.cluster.pods import PodView
from controller.cluster.watched_pods import WatchedPod, watch_pod
from controller.events import ControllerEvents
from controller.extender_client import Outcome, PlanAnswer, PlannedVictim
from controller.metrics import ControllerMetrics
from controller.preemption.stage import make_preemption
from controller.preemption_rules.policy import PreemptionPolicy
from k40s.annotations import PREEMPTION_KEY, parse_claim
from k40s.assurance.migration.placement import NodeOffer, Requirement, Taint
from k40s.criticality import Criticality
from k40s.kube.objects.budgets import BudgetRecord
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.records import ObjectRef
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.controller.cluster import EPOCH, START, CrashError

SCHEDULER = "k40s-scheduler"
SYSTEM = ("kube-system", "k40s-system")
T = TypeVar("T")
Pod = dict[str, Any]


@dataclass
class FakePlant:
    """Everything at once; ``crash_at`` is the number of the request that ends the process."""

    nodes: dict[str, int]
    now: int = START
    items: dict[str, Pod] = field(default_factory=dict)
    limits: list[BudgetRecord] = field(default_factory=list)
    taints: dict[str, list[Taint]] = field(default_factory=dict)
    leading: bool = True
    known: bool = True
    grace_s: int = 0
    places: bool = True
    lag: int = 0
    plan_takes: float = 0.0
    unknown: frozenset[str] = frozenset()
    crash_at: int | None = None
    crash_after: bool = False
    requests: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    said: list[tuple[str, str, str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    answer: PlanAnswer | None = None
    _serial: int = 0
    _views: list[PodView] = field(default_factory=list)

    # What a test sets up

    def clock(self) -> int:
        return self.now

    def add(  # what a pod may be
        self,
        name: str,
        criticality: str,
        size: int,
        *,
        node: str = "",
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
        **spec: object,
    ) -> str:
        """Add a pod, bound or waiting; returns its UID."""
        self._serial += 1
        uid = f"uid-{name}"
        created = EPOCH + timedelta(seconds=self.now // NS_PER_S + self._serial)
        refusal = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        status: Pod = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.items[uid] = {
            "metadata": {
                "uid": uid,
                "namespace": namespace,
                "name": name,
                "labels": {"app": name, "size": str(size), **(labels or {})},
                "annotations": {"k40s.io/criticality": criticality},
                "resourceVersion": str(self._serial),
                "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "spec": {
                "schedulerName": SCHEDULER,
                "nodeName": node,
                "terminationGracePeriodSeconds": self.grace_s,
                "containers": [{"name": "main"}],
                **spec,
            },
            "status": status if node else {"phase": "Pending", "conditions": [refusal]},
        }
        return uid

    def node_of(self, name: str) -> str:
        found: str = self.items[f"uid-{name}"]["spec"]["nodeName"]
        return found

    def names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.items.values()}

    def claims(self) -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in self.items.values()
            if PREEMPTION_KEY in pod["metadata"]["annotations"]
        ]

    # Time, kubelets and the scheduler

    def pass_time(self, seconds: float) -> None:
        self.now += int(seconds * NS_PER_S)
        for uid, pod in list(self.items.items()):
            if "deleted" in pod and self.now - pod["deleted"] >= self.grace_s * NS_PER_S:
                del self.items[uid]
        if self.places:
            waiting = [pod for pod in self.items.values() if not pod["spec"]["nodeName"]]
            for pod in sorted(waiting, key=lambda pod: -_criticality(pod)):
                self._place(pod)

    def _place(self, pod: Pod) -> None:
        for node in sorted(self.nodes):
            if _size(pod) <= self.free(node) and self._leaves_room(pod, node):
                pod["spec"]["nodeName"] = node
                pod["status"] = {"phase": "Running", "conditions": []}
                self._touch(pod)
                return

    def free(self, node: str, without: Collection[str] = ()) -> int:
        here = [
            one
            for uid, one in self.items.items()
            if one["spec"]["nodeName"] == node and uid not in without
        ]
        return self.nodes[node] - sum(map(_size, here))

    def _leaves_room(self, pod: Pod, node: str) -> bool:
        for one in self.items.values():
            text = one["metadata"]["annotations"].get(PREEMPTION_KEY)
            if text is None or one is pod or one["spec"]["nodeName"]:
                continue
            claim = parse_claim(text)
            room = self.free(node, claim.uids) - _size(pod)
            if claim.node == node and self.now < claim.until and room < _size(one):
                return False
        return True

    # WatchedPods

    def view(self) -> PodView:
        pods: dict[str, WatchedPod] = {}
        for uid, item in self.items.items():
            pods[uid] = watch_pod(managed_pod_record(copy.deepcopy(item)))
        self._views.append(PodView(pods=pods))
        return self._views[max(0, len(self._views) - 1 - self.lag)]

    # PlanSource

    def plan(self, namespace: str, name: str, uid: str, protected: Collection[str]) -> PlanAnswer:
        def find() -> PlanAnswer:
            if self.answer is not None:
                return self.answer
            pod = self.items.get(uid)
            self.now += int(self.plan_takes * NS_PER_S)
            if not self.known or pod is None or name in self.unknown:
                return PlanAnswer(outcome=Outcome.UNKNOWN)
            assert (pod["metadata"]["namespace"], pod["metadata"]["name"]) == (namespace, name)
            return self._least(pod, protected)

        return self._request("plan", find)

    def _least(self, pod: Pod, protected: Collection[str]) -> PlanAnswer:
        found = []
        for node in self.nodes:
            ending = {uid for uid, one in self.items.items() if "deleted" in one}
            lower = [
                uid
                for uid, one in self.items.items()
                if one["spec"]["nodeName"] == node
                and uid not in ending
                and uid not in protected
                and _criticality(one) < _criticality(pod)
            ]
            for count in range(len(lower) + 1):
                for some in combinations(lower, count):
                    held, gone = self._held(node, pod)
                    if self.free(node, {*some, *ending, *gone}) - held >= _size(pod):
                        highest = max((_criticality(self.items[one]) for one in some), default=0)
                        found.append((highest, count, node, some))
        if not found:
            return PlanAnswer(outcome=Outcome.NONE)
        _, count, node, victims = min(found)
        if not count:
            return PlanAnswer(outcome=Outcome.FITS)
        return PlanAnswer(outcome=Outcome.PLAN, node=node, victims=tuple(map(self.named, victims)))

    def _held(self, node: str, pod: Pod) -> tuple[int, frozenset[str]]:
        """The room that others claim on a node, and whose it is now."""
        held, gone = 0, frozenset[str]()
        for one in self.items.values():
            text = one["metadata"]["annotations"].get(PREEMPTION_KEY)
            if text is not None and one is not pod and parse_claim(text).node == node:
                held, gone = held + _size(one), gone | parse_claim(text).uids
        return held, gone

    def named(self, uid: str) -> PlannedVictim:
        meta = self.items[uid]["metadata"]
        criticality = meta["annotations"]["k40s.io/criticality"]
        return PlannedVictim(
            namespace=meta["namespace"], name=meta["name"], uid=uid, criticality=criticality
        )

    def renew(self) -> None:
        self.requests.append("renew")

    # Control

    def pod(self, namespace: str, name: str) -> Pod:
        return self._request("pod", lambda: copy.deepcopy(self._find(namespace, name)))

    def set_claim(
        self, namespace: str, name: str, *, uid: str, resource_version: str, claim: str | None
    ) -> None:
        def apply() -> None:
            meta = self._find(namespace, name)["metadata"]
            if (meta["uid"], meta["resourceVersion"]) != (uid, resource_version):
                raise ConflictError("the object has been modified")
            meta["annotations"].pop(PREEMPTION_KEY, None)
            if claim is not None:
                meta["annotations"][PREEMPTION_KEY] = claim
            self._touch(self.items[uid])

        self._request("withdraw" if claim is None else "claim", apply)

    def node(self, name: str) -> NodeOffer | None:
        offer = NodeOffer(
            name=name, labels={}, taints=tuple(self.taints.get(name, ())), cpu_millis=64_000
        )
        return self._request("node", lambda: offer if name in self.nodes else None)

    def budgets(self, namespace: str) -> tuple[BudgetRecord, ...]:
        return self._request(
            "budgets", lambda: tuple(one for one in self.limits if one.namespace == namespace)
        )

    # Evictor

    def evict(self, namespace: str, name: str, *, uid: str, dry_run: bool = False) -> None:
        def apply() -> None:
            pod = self._find(namespace, name)
            if pod["metadata"]["uid"] != uid:
                raise ConflictError("another pod has this name")
            if "deleted" in pod:
                return
            for place, one in enumerate(self.limits):
                if one.namespace == namespace and one.selects(pod["metadata"]["labels"]):
                    if one.allowed < 1:
                        raise TooManyRequestsError("would violate the pod's disruption budget")
                    if not dry_run:
                        self.limits[place] = _used(one)
            if not dry_run:
                self.evicted.append(name)
                pod["deleted"] = self.now
                pod["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
                self._touch(pod)

        self._request("try" if dry_run else "evict", apply)

    # Leadership

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.notes

    def annotate(self, annotations: Mapping[str, str]) -> None:
        def apply() -> None:
            if not self.leading:
                raise ConflictError("not the leader")
            self.notes.update(annotations)

        self._request("history", apply)

    # EventWriter

    def create_event(  # the port's
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        del component, warning, once
        self.said.append((reason, about.name, message))

    def _request(self, what: str, apply: Callable[[], T]) -> T:
        number = len(self.requests)
        self.requests.append(what)
        if number == self.crash_at and not self.crash_after:
            raise CrashError
        result = apply()
        if number == self.crash_at:
            raise CrashError
        return result

    def _find(self, namespace: str, name: str) -> Pod:
        for pod in self.items.values():
            meta = pod["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, name):
                return pod
        raise NotFoundError(f"pod {name}")

    def _touch(self, pod: Pod) -> None:
        self._serial += 1
        pod["metadata"]["resourceVersion"] = str(self._serial)


@dataclass
class Process:
    """One controller process; nothing of it outlives it."""

    plant: FakePlant
    policy: PreemptionPolicy = field(default_factory=PreemptionPolicy)
    enabled: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        plant = self.plant
        self.registry = CollectorRegistry()
        metrics = ControllerMetrics(self.registry)
        self.events = ControllerEvents(
            writer=plant,
            metrics=metrics,
            backoff=Backoff(pause=Nanoseconds(0), clock=plant.clock),
            clock=plant.clock,
        )
        self.looks = make_preemption(
            pods=plant,
            source=plant,
            control=plant,
            evictor=plant,
            leadership=plant,
            events=self.events,
            metrics=metrics,
            registry=self.registry,
            policy=self.policy,
            system=SYSTEM,
            scheduler=SCHEDULER,
            enabled=self.enabled,
            dry_run=self.dry_run,
            now=plant.clock,
        )

    def run(self, seconds: float, *, step: float = 0.5) -> None:
        """Look once a step, and let the cluster act after each look."""
        for _ in range(int(seconds / step)):
            self.looks.tick()
            self.events.send()
            self.plant.pass_time(step)

    def crashes(self, seconds: float) -> bool:
        """Run for so long, or until a crash."""
        try:
            self.run(seconds)
        except CrashError:
            return True
        return False

    def metric(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"k40s_controller_preemption_{name}", labels)
        return found or 0.0


def budget(name: str, allowed: int, *, namespace: str = "default", **labels: str) -> BudgetRecord:
    """A budget of the pods with these labels."""
    selector = tuple(
        Requirement(key=key, operator="In", values=(value,)) for key, value in labels.items()
    )
    return BudgetRecord(namespace=namespace, name=name, selector=selector, allowed=allowed)


def _used(one: BudgetRecord) -> BudgetRecord:
    return replace(one, allowed=one.allowed - 1)


def _size(pod: Pod) -> int:
    return int(pod["metadata"]["labels"]["size"])


def _criticality(pod: Pod) -> Criticality:
    return Criticality[pod["metadata"]["annotations"]["k40s.io/criticality"]]
