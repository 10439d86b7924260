"""Workload cache: each pod's annotations are parsed once, and filter's pods are kept until bind."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from k40s.annotations import (
    CRITICALITY_KEY,
    ENFORCEMENT_KEY,
    NETWORK_KEY,
    TASKS_KEY,
    parse_network_requirements,
    read_workload,
)
from k40s.annotations.network import MAX_NETWORK_TEXT
from k40s.annotations.refusal import invalid_pod_text
from k40s.annotations.workload import MAX_TASKS_TEXT
from k40s.cpu.workload import Workload
from k40s.errors import InvalidAnnotationError
from k40s.network.model import Requirement
from k40s.strict_json import MAX_TEXT

_Names = tuple[str, ...]
Signature = tuple[str | None, str | None, str | None, str | None, tuple[_Names, ...], str | None]
"""All texts that define a workload: equal signatures mean equal workloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a pod declares: a workload, or None and the constant text that refuses it everywhere.

    ``requirements`` are what it needs of networks.
    """

    signature: Signature
    workload: Workload | None
    requirements: tuple[Requirement, ...] = ()
    fault: str = ""

    @property
    def has_tasks(self) -> bool:
        """Whether the pod declares real-time tasks, valid or not."""
        return self.signature[2] is not None

    @property
    def has_requirements(self) -> bool:
        """Whether the pod declares what it needs of networks, valid or not."""
        return self.signature[5] is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """A pod at one version of it."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    contract: Contract
    node: str = ""
    """Empty while it is unbound."""
    granted: bool = False
    """Whether it has an allocation."""
    network_granted: bool = False
    """Whether it has a grant of networks."""
    runtime_class: str = ""
    """Name of its RuntimeClass; "" is the node's default runtime."""

    @property
    def length(self) -> int:
        """Characters of its tasks and requirements, the parts whose size a user controls."""
        signature = self.contract.signature
        return len(signature[2] or "") + len(signature[5] or "")

    @property
    def has_grants(self) -> bool:
        """Whether it has all the grants that its contract asks for."""
        contract = self.contract
        if contract.workload is None:
            return self.granted
        return (self.granted or not contract.workload.is_real_time) and (
            self.network_granted or not contract.requirements
        )


class PodTexts(Protocol):
    """The part of a pod that defines its workload, in a request or from a watch."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""

    @property
    def containers(self) -> tuple[str, ...]:
        """Names of its containers."""

    @property
    def sidecars(self) -> tuple[str, ...]:
        """Names of its init containers with restartPolicy Always."""

    @property
    def init_containers(self) -> tuple[str, ...]:
        """Names of its other init containers."""


class WorkloadCache:
    """Parses workloads; equal texts give the same object. Any thread may call."""

    def __init__(
        self, *, texts: int = 1024, pods: int = 20_000, characters: int = 16 << 20
    ) -> None:
        self._read = lru_cache(maxsize=texts)(_read)
        self._pods = pods
        self._lock = threading.Lock()
        self._characters = characters
        self._held = 0
        self._by_uid: OrderedDict[str, ObservedPod] = OrderedDict()

    def read(
        self,
        *,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        containers: tuple[str, ...],
        sidecars: tuple[str, ...] = (),
        init_containers: tuple[str, ...] = (),
        held: bool = False,
    ) -> Contract:
        """Parses a pod's labels and annotations; ``held`` means that the pod is bound already."""
        tasks = annotations.get(TASKS_KEY)
        if tasks is not None:  # what exceeds the limit is dropped
            tasks = tasks[: (MAX_TEXT if held else MAX_TASKS_TEXT) + 1]
        networks = annotations.get(NETWORK_KEY)
        if networks is not None:
            networks = networks[: MAX_NETWORK_TEXT + 1]
        return self._read(
            (
                labels.get(CRITICALITY_KEY),
                annotations.get(CRITICALITY_KEY),
                tasks,
                annotations.get(ENFORCEMENT_KEY),
                (containers, sidecars, init_containers) if tasks is not None else (),
                networks,
            ),
            held=held,
        )

    def read_pod(self, pod: PodTexts, *, held: bool = False) -> Contract:
        """Parses what a pod declares."""
        return self.read(
            labels=pod.labels,
            annotations=pod.annotations,
            containers=pod.containers,
            sidecars=pod.sidecars,
            init_containers=pod.init_containers,
            held=held,
        )

    def put(self, pod: ObservedPod) -> bool:
        """Keeps a pod; returns whether its contract is new. Evicts the oldest."""
        with self._lock:
            former = self._drop(pod.uid)
            self._by_uid[pod.uid] = pod
            self._held += pod.length
            while len(self._by_uid) > self._pods or self._held > self._characters:
                self._drop(next(iter(self._by_uid)))
            return former is None or former.contract is not pod.contract

    def get(self, uid: str) -> ObservedPod | None:
        """The pod as filter saw it last."""
        with self._lock:
            return self._by_uid.get(uid)

    def remove(self, uid: str) -> None:
        """Removes a pod that is bound."""
        with self._lock:
            self._drop(uid)

    def _drop(self, uid: str) -> ObservedPod | None:
        pod = self._by_uid.pop(uid, None)
        if pod is not None:
            self._held -= pod.length
        return pod


def _read(signature: Signature, *, held: bool) -> Contract:
    label, annotation, tasks, enforcement, names, networks = signature
    containers, sidecars, init_containers = names or ((), (), ())
    annotations = {CRITICALITY_KEY: annotation, TASKS_KEY: tasks, ENFORCEMENT_KEY: enforcement}
    try:
        workload = read_workload(
            labels={} if label is None else {CRITICALITY_KEY: label},
            annotations={key: text for key, text in annotations.items() if text is not None},
            containers=containers,
            sidecars=sidecars,
            init_containers=init_containers,
            held=held,
        )
        requirements = () if networks is None else parse_network_requirements(networks)
    except InvalidAnnotationError as error:
        return Contract(signature=signature, workload=None, fault=invalid_pod_text(error))
    return Contract(signature=signature, workload=workload, requirements=requirements)
