"""Writes of a daemon's Node: only what differs from the last write, and the Lease."""

import threading
from collections.abc import Mapping
from typing import Protocol

from k40s.kube.records import NodeCondition, NodeRecord
from k40s.units import Nanoseconds


class NodeWriter(Protocol):
    """The part of the API server that a daemon publishes to."""

    def get_node(self, name: str) -> NodeRecord | None:
        """The node's metadata, or None. Raises ``UnavailableError``."""

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] = ...,
        annotations: Mapping[str, str | None] = ...,
        condition: NodeCondition | None = ...,
    ) -> NodeRecord:
        """Set, and with None remove, these keys alone, and this condition, in one write.

        May raise ``NotFoundError`` too.
        """

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        """Renew it, or create it. Raises ``UnavailableError``."""


class Publisher:
    """Writes what differs from the last write. After a failure the next call writes it again."""

    def __init__(
        self,
        *,
        gateway: NodeWriter,
        node: str,
        lease_namespace: str,
        lease_name: str,
        lease: Nanoseconds,
    ) -> None:
        self._gateway = gateway
        self._node = node
        self._lease_namespace = lease_namespace
        self._lease_name = lease_name
        self._lease = lease
        self._lock = threading.Lock()
        self._labels: dict[str, str | None] = {}
        self._annotations: dict[str, str | None] = {}
        self._condition: NodeCondition | None = None

    def publish(
        self,
        *,
        annotations: Mapping[str, str | None] | None = None,
        labels: Mapping[str, str | None] | None = None,
        condition: NodeCondition | None = None,
    ) -> bool:
        """Write what differs from what was written last; returns whether anything was."""
        with self._lock:
            new_annotations = _changes(annotations or {}, self._annotations)
            new_labels = _changes(labels or {}, self._labels)
            new_condition = None if condition == self._condition else condition
            if not new_annotations and not new_labels and new_condition is None:
                return False
            self._gateway.patch_node(
                self._node,
                labels=new_labels,
                annotations=new_annotations,
                condition=new_condition,
            )
            self._annotations |= new_annotations
            self._labels |= new_labels
            self._condition = new_condition or self._condition
            return True

    def beat(self) -> None:
        """Renew the Lease: what this node publishes still holds."""
        self._gateway.renew_lease(
            self._lease_namespace, self._lease_name, holder=self._node, duration=self._lease
        )

    def verify(self, record: NodeRecord | None) -> bool:
        """Compare with the Node as it is, and forget what someone else has changed or removed.

        Conditions are not compared: the Node is read without its status. With its metadata the
        condition is written again.

        Returns whether all was as published; if not, the next ``publish`` writes again.
        """
        with self._lock:
            whole = record is not None
            for written, present in (
                (self._annotations, record.annotations if record else {}),
                (self._labels, record.labels if record else {}),
            ):
                for key in [key for key, text in written.items() if present.get(key) != text]:
                    del written[key]
                    whole = False
            if not whole:
                self._condition = None
            return whole


def _changes(
    wanted: Mapping[str, str | None], written: Mapping[str, str | None]
) -> dict[str, str | None]:
    return {key: text for key, text in wanted.items() if key not in written or written[key] != text}
