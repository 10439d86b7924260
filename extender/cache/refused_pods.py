"""Pods that filter refused on every node, with the nodes that it was asked about last.

These nodes passed kube-scheduler's own filters, so a victim is never ended on one that those
exclude. Memory is bounded by the names in total; equal lists in a row are kept once.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from extender.cache.workloads import Contract
from extender.protocol import PodFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPod:
    """A pod without labels and annotations (its ``contract`` is what they say), and its nodes."""

    pod: PodFacts
    contract: Contract
    names: Sequence[str]


class RefusedPods:
    """Any thread may call. The oldest are forgotten first.

    ``by_uid`` is the same object always; only this class changes it.
    """

    def __init__(self, *, pods: int = 10_000, names: int = 500_000) -> None:
        self._pods = pods
        self._names = names
        self._lock = threading.Lock()
        self.by_uid: OrderedDict[str, RefusedPod] = OrderedDict()
        self._users: dict[int, int] = {}  # of each list, by its identity
        self._held = 0
        self._last: Sequence[str] = ()

    def put(self, pod: PodFacts, contract: Contract, names: Sequence[str]) -> None:
        """Keeps the last call for a pod."""
        kept = replace(pod, labels={}, annotations={})
        with self._lock:
            if names == self._last:
                names = self._last
            self._last = names
            self._drop(pod.uid)
            self.by_uid[pod.uid] = RefusedPod(pod=kept, contract=contract, names=names)
            users = self._users.get(id(names), 0)
            self._users[id(names)] = users + 1
            self._held += 0 if users else len(names)
            while len(self.by_uid) > self._pods or self._held > self._names:
                self._drop(next(iter(self.by_uid)))

    def find(self, uid: str) -> RefusedPod | None:
        """The last call for the pod, if every node was refused in it or in one before."""
        with self._lock:
            return self.by_uid.get(uid)

    def _drop(self, uid: str) -> None:
        former = self.by_uid.pop(uid, None)
        if former is None:
            return
        key = id(former.names)
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
            self._held -= len(former.names)
