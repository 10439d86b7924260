"""A pod's contract: read once per text, and remembered by UID from filter until bind."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from k40s.annotations import CRITICALITY_KEY, ENFORCEMENT_KEY, TASKS_KEY, read_workload
from k40s.cpu.workload import Workload
from k40s.errors import InvalidAnnotationError
from k40s.reasons import Reason

Signature = tuple[str | None, str | None, str | None, str | None, tuple[str, ...]]
"""All that a workload is made of: two equal signatures are the same workload."""

_MAX_TEXT = 400
"""Longest refusal of an invalid pod; kube-scheduler repeats it in the pod's event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A workload, or (where it is None) the constant text that refuses the pod everywhere."""

    signature: Signature
    workload: Workload | None
    fault: str = ""


class Contracts:
    """Reads contracts; equal texts give the same object. Any thread may call."""

    def __init__(self, *, texts: int = 1024, pods: int = 20_000) -> None:
        self._read = lru_cache(maxsize=texts)(_read)
        self._pods = pods
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, Contract] = OrderedDict()

    def read(
        self,
        *,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        containers: tuple[str, ...],
    ) -> Contract:
        """Read a pod's labels and annotations."""
        tasks = annotations.get(TASKS_KEY)
        return self._read(
            (
                labels.get(CRITICALITY_KEY),
                annotations.get(CRITICALITY_KEY),
                tasks,
                annotations.get(ENFORCEMENT_KEY),
                containers if tasks is not None else (),
            )
        )

    def remember(self, uid: str, contract: Contract) -> bool:
        """Keep the contract of a pod; tells whether it is news. The oldest are forgotten."""
        with self._lock:
            if self._remembered.get(uid) is contract:
                return False
            self._remembered[uid] = contract
            self._remembered.move_to_end(uid)
            if len(self._remembered) > self._pods:
                self._remembered.popitem(last=False)
            return True

    def recall(self, uid: str) -> Contract | None:
        """The contract of a pod that filter has seen."""
        with self._lock:
            return self._remembered.get(uid)

    def forget(self, uid: str) -> None:
        """The pod is bound: kube-scheduler asks no more."""
        with self._lock:
            self._remembered.pop(uid, None)


def _read(signature: Signature) -> Contract:
    label, annotation, tasks, enforcement, containers = signature
    annotations = {CRITICALITY_KEY: annotation, TASKS_KEY: tasks, ENFORCEMENT_KEY: enforcement}
    try:
        workload = read_workload(
            labels={} if label is None else {CRITICALITY_KEY: label},
            annotations={key: text for key, text in annotations.items() if text is not None},
            containers=containers,
        )
    except InvalidAnnotationError as error:
        fault = f"{Reason.POD_INVALID.value}: {error}"
        return Contract(signature=signature, workload=None, fault=fault[:_MAX_TEXT])
    return Contract(signature=signature, workload=workload)
