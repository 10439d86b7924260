"""The API server and the disk as rubicante sees them, in memory."""

import queue
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from k40s.annotations import ENFORCED_CONDITION, PLATFORM_LABEL
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.list_watch import Change, Listing, WatchEvent
from k40s.kube.records import NodeCondition, NodeRecord, ObjectRef, PodCondition, PodRecord
from k40s.kube.transport import NotFoundError, RefusedError
from k40s.runtime.store import StoreError
from k40s.units import Nanoseconds

NODE = "edge-1"


class FakeStore:
    """Implements ``BookStore``; a crash is a new book on the same store."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.broken = False

    def entries(self) -> dict[str, str]:
        return dict(self.texts)

    def write(self, changes: Mapping[str, str | None]) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        for key, text in changes.items():
            if text is None:
                self.texts.pop(key, None)
            else:
                self.texts[key] = text


class FakeApiServer:
    """Implements ``PodSource``, ``NodeCleaner``, ``EventWriter`` and ``PodConditionWriter``.

    ``meanwhile`` is what happens once, while a pod is being looked up; ``unreadable`` are UIDs of
    pods that cannot be read one by one.
    """

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], PodRecord] = {}
        self.node: NodeRecord | None = NodeRecord(
            name=NODE, labels={PLATFORM_LABEL: "xeon"}, annotations={}, resource_version="1"
        )
        self.patches: list[tuple[dict[str, str | None], dict[str, str | None]]] = []
        self.beats = 0
        self.has_lease = False
        self.events: list[tuple[str, str, str]] = []
        self.conditions: list[tuple[str, PodCondition, bool]] = []
        self.down = False
        self.unreadable: set[str] = set()
        self.meanwhile: Callable[[], object] | None = None

    def add(self, record: PodRecord) -> PodRecord:
        self.pods[record.namespace, record.name] = record
        return record

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        self._check()
        found = self.pods.get((namespace, name))
        event, self.meanwhile = self.meanwhile, None
        if event is not None:
            event()
        if found is not None and found.uid in self.unreadable:
            raise UnreadableError(f"{found.uid}: metadata.labels: found 5, expected an object")
        return found

    def get_node(self, name: str) -> NodeRecord | None:
        self._check()
        return self.node if name == NODE else None

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        condition: NodeCondition | None = None,
    ) -> NodeRecord:
        self._check()
        assert condition is None
        assert self.node is not None
        assert name == NODE
        self.patches.append((dict(labels or {}), dict(annotations or {})))
        self.node = replace(
            self.node,
            labels=_merged(self.node.labels, labels or {}),
            annotations=_merged(self.node.annotations, annotations or {}),
        )
        return self.node

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        self._check()
        assert (namespace, name, holder) == ("k40s-system", f"rubicante-{NODE}", NODE)
        assert duration > 0
        self.beats += 1
        self.has_lease = True

    def delete_lease(self, namespace: str, name: str) -> None:
        self._check()
        assert (namespace, name) == ("k40s-system", f"rubicante-{NODE}")
        self.has_lease = False

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
        self._check()
        assert not once
        assert (component, warning) == ("k40s-rubicante", True)
        assert about.kind in ("Pod", "Node")
        self.events.append((about.uid, reason, message))

    def set_pod_condition(
        self, pod: ObjectRef, kind: str, condition: PodCondition, *, turned: bool
    ) -> None:
        self._check()
        assert (pod.kind, kind) == ("Pod", ENFORCED_CONDITION)
        found = self.pods.get((pod.namespace, pod.name))
        if found is None:
            raise NotFoundError("404")
        if found.uid != pod.uid:
            raise RefusedError("422 metadata.uid: field is immutable")
        self.conditions.append((pod.uid, condition, turned))
        self.add(replace(found, enforced=condition))

    def _check(self) -> None:
        if self.down:
            raise UnavailableError("connection refused")


def _merged(present: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {k: v for k, v in {**present, **changes}.items() if v is not None}


class FakePodSource:
    """Implements ``WatchSource[PodRecord]`` over the pods that a ``FakeApiServer`` holds."""

    def __init__(self, server: FakeApiServer) -> None:
        self._server = server
        self._events: queue.Queue[WatchEvent[PodRecord] | None] = queue.Queue()

    def list(self) -> Listing[PodRecord]:
        here = tuple(p for p in self._server.pods.values() if p.node == NODE)
        return Listing(records=here, resource_version="1")

    def watch(self, resource_version: str) -> Iterator[WatchEvent[PodRecord]]:
        assert resource_version
        while (event := self._events.get()) is not None:
            yield event

    def deliver(self, record: PodRecord, change: Change = Change.UPSERT) -> None:
        """The pod changed, or is gone."""
        if change is Change.DELETE:
            del self._server.pods[record.namespace, record.name]
        else:
            self._server.add(record)
        self._events.put(WatchEvent(change=change, record=record, resource_version="2"))

    def stop(self) -> None:
        self._events.put(None)
