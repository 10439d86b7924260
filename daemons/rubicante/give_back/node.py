"""Returns all that rubicante holds on this node: published state, kernel and book.

Each turn reads the present state, so it may be killed at any time, repeated, and run where no
daemon is left. The order is that of an uninstallation: first the published state and the pods'
condition, then the kernel, then the book. The label ``node.k40s.io/real-time`` goes last: its
absence means that k40s holds nothing on the node.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry
from daemons.rubicante.cluster.enforced_condition import PodConditionWriter
from daemons.rubicante.cluster.pod_events import EventReason, PodEvents
from daemons.rubicante.give_back.leftovers import Leftovers
from daemons.rubicante.mechanisms.back_end import GroupName, Held, held_by
from k40s.annotations import (
    ALLOCATION_KEY,
    CPU_STATE_KEY,
    CPU_STATE_SINCE_KEY,
    ENFORCED_CONDITION,
    REAL_TIME_LABEL,
)
from k40s.errors import InvalidAnnotationError, K40sError, UnavailableError
from k40s.kube.records import ObjectRef, PodCondition, PodRecord
from k40s.node_agent.publisher import NodeWriter
from k40s.node_api.allocation import parse_allocation

log = logging.getLogger(__name__)

_ANNOTATIONS = (CPU_STATE_KEY, CPU_STATE_SINCE_KEY)
"""What rubicante publishes on its Node, labels aside."""
_TEXT = (
    "the node's operator gives its real-time reservations back: the pod runs on with ordinary "
    "threads, and no deadline is kept any more"
)
_NOT_HELD = PodCondition(status=False, reason=EventReason.GIVEN_BACK.value, message=_TEXT)


class NodeCleaner(NodeWriter, PodConditionWriter, Protocol):
    """The part of the API server from which a node's traces are removed."""

    def delete_lease(self, namespace: str, name: str) -> None:
        """Remove it; an absent one is removed. Raises ``UnavailableError``."""


ListPods = Callable[[], Sequence[PodRecord]]
"""The pods bound to the node. Raises ``UnavailableError``."""


class GiveBack:
    """One node. ``pods`` lists those bound here and may raise ``UnavailableError``.

    Without a ``gateway`` there is no API server, and the kernel's part and the book's is done
    alone. Without a ``book`` (another process has it, or there is none) only ``find`` may be used.
    """

    def __init__(
        self,
        *,
        node: str,
        lease: tuple[str, str],
        leftovers: Leftovers,
        book: Book | None,
        pods: ListPods,
        gateway: NodeCleaner | None,
        events: PodEvents | None,
    ) -> None:
        self._node = node
        self._lease = lease
        self._leftovers = leftovers
        self._book = book
        self._list_pods = pods
        self._gateway = gateway
        self._events = events
        self._done: set[str] = set()

    def find(self) -> tuple[str, ...]:
        """What would be given back, one text each; empty when nothing is left."""
        pods, troubles = self._pods()
        published = self._published()
        held = self._held(pods)
        return (*self._reserved(), *self._leftovers.find(held), *published, *troubles)

    def act(self) -> tuple[str, ...]:
        """One turn. Returns what is left, as texts, with the cause where it is known."""
        if self._book is None:
            raise ValueError("without the book nothing is given back")
        causes = self._withdraw()
        pods, troubles = self._pods()
        causes += self._clear_conditions(pods)
        held = self._held(pods)
        before = {entry.pod.uid: entry for entry in self._book.entries()}
        self._done -= before.keys()
        todo = {uid: mine for uid, mine in held.items() if uid not in self._done}
        done, refused = self._leftovers.release(todo)
        self._done |= done
        causes += [f"pod {uid}: {cause}" for uid, cause in refused.items()]
        causes += self._forget(before, done)
        rest = {uid: mine for uid, mine in todo.items() if uid not in done}
        causes += self._leftovers.sweep(rest)
        left = (*self._reserved(), *self._leftovers.find(held), *troubles)
        if not left:
            causes += self._remove_label()
        if self._events is not None:
            self._events.send()
        left = (*left, *self._published())
        if not left and not causes:
            self._leftovers.finish()
        return tuple(dict.fromkeys((*left, *causes)))

    def _clear_conditions(self, pods: Sequence[PodRecord]) -> list[str]:
        """Set the pods' condition to False: no daemon is left to withdraw it later."""
        causes = []
        for one in pods:
            if self._gateway is None or one.ended or one.enforced in (None, _NOT_HELD):
                continue
            pod = ObjectRef(kind="Pod", namespace=one.namespace, name=one.name, uid=one.uid)
            turned = one.enforced is not None and one.enforced.status
            try:
                self._gateway.set_pod_condition(pod, ENFORCED_CONDITION, _NOT_HELD, turned=turned)
            except UnavailableError as error:
                causes.append(f"condition of pod {one.namespace}/{one.name}: {error}")
            except K40sError as error:
                log.info("condition not written", extra={"pod": one.uid, "cause": str(error)})
        return causes

    def _reserved(self) -> tuple[str, ...]:
        entries = () if self._book is None else self._book.entries()
        return tuple(
            f"reservation of pod {entry.pod.namespace}/{entry.pod.name}" for entry in entries
        )

    def _forget(self, before: Mapping[str, Entry], done: set[str]) -> list[str]:
        """Remove pods that hold nothing from the book, and report it to their owners."""
        causes = []
        for uid in sorted(before.keys() & done):
            try:
                if self._book is not None and self._book.forget(uid):
                    log.info("reservation given back", extra={"pod": uid})
            except UnavailableError as error:
                causes.append(str(error))
                continue
            if self._events is not None:
                entry = before[uid]
                criticality = entry.request.workload.criticality
                self._events.add(entry.pod, EventReason.GIVEN_BACK, _TEXT, criticality=criticality)
        return causes

    def _held(self, pods: Sequence[PodRecord]) -> dict[str, tuple[Held, ...]]:
        """Pods' reservations by the book, and by their annotation where the book has lost them."""
        entries = () if self._book is None else self._book.entries()
        held = {entry.pod.uid: held_by(entry) for entry in entries}
        for record in pods:
            text = record.annotations.get(ALLOCATION_KEY)
            if text is None or record.uid in held:
                continue
            try:
                granted = parse_allocation(text, pod_uid=record.uid)
                held[record.uid] = tuple(
                    Held(name=GroupName(pod_uid=record.uid, index=index), reservation=one)
                    for index, one in enumerate(granted)
                )
            except (InvalidAnnotationError, ValueError) as error:
                log.warning(
                    "allocation not understood", extra={"pod": record.uid, "cause": str(error)}
                )
        return held

    def _pods(self) -> tuple[Sequence[PodRecord], tuple[str, ...]]:
        try:
            return self._list_pods(), ()
        except UnavailableError as error:
            return (), (f"the node's pods are not known: {error}",)

    def _published(self) -> tuple[str, ...]:
        if self._gateway is None:
            return ()
        try:
            record = self._gateway.get_node(self._node)
        except UnavailableError as error:
            return (f"the Node is not known: {error}",)
        if record is None:
            return ()
        keys = [key for key in _ANNOTATIONS if key in record.annotations]
        keys += [key for key in (REAL_TIME_LABEL,) if key in record.labels]
        return tuple(f"{key} on the Node" for key in keys)

    def _withdraw(self) -> list[str]:
        """Withdraw the state and the Lease: without them the node is not eligible."""
        if self._gateway is None:
            return []
        try:
            record = self._gateway.get_node(self._node)
            keys = [] if record is None else [k for k in _ANNOTATIONS if k in record.annotations]
            if keys:
                self._gateway.patch_node(self._node, annotations=dict.fromkeys(keys))
            self._gateway.delete_lease(*self._lease)
        except K40sError as error:
            return [f"the Node is not withdrawn: {error}"]
        return []

    def _remove_label(self) -> list[str]:
        if self._gateway is None:
            return []
        try:
            record = self._gateway.get_node(self._node)
            if record is not None and REAL_TIME_LABEL in record.labels:
                self._gateway.patch_node(self._node, labels={REAL_TIME_LABEL: None})
        except K40sError as error:
            return [f"the Node's label is not removed: {error}"]
        return []
