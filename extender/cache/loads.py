"""CPU requested by the pods of each node, for packing."""

from collections.abc import Sequence

from k40s.kube.records import PodRecord

UNREQUESTED_MILLIS = 100
"""Counted for a pod without a CPU request, as kube-scheduler's own scoring does."""


class Loads:
    """Requested millicores by node. Not locked; the reader clears ``changed``."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, int]] = {}
        self.by_node: dict[str, int] = {}
        self.changed = False

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Takes all pods. One whose node is unreadable keeps its former node."""
        known = self._pods
        self._pods = {
            record.uid: (
                record.node or known.get(record.uid, ("", 0))[0],
                record.cpu_request_millis or UNREQUESTED_MILLIS,
            )
            for record in records
            if not record.ended
        }
        self.by_node = {}
        for node, millis in self._pods.values():
            self._add(node, millis)
        self.changed = True

    def upsert(self, record: PodRecord) -> None:
        """Adds or updates a pod. A bound pod stays bound until it ends."""
        if record.ended:
            self.delete(record.uid)
            return
        known = self._pods.get(record.uid)
        millis = record.cpu_request_millis or UNREQUESTED_MILLIS
        node = record.node or (known[0] if known else "")
        if known == (node, millis):
            return
        if known is not None:
            self._add(known[0], -known[1])
        self._pods[record.uid] = (node, millis)
        self._add(node, millis)

    def assume(self, uid: str, node: str) -> None:
        """Counts a pod on the node it was just bound to, before the watch reports it."""
        known = self._pods.get(uid)
        if known is not None and not known[0]:
            self._pods[uid] = (node, known[1])
            self._add(node, known[1])

    def delete(self, uid: str) -> None:
        """Removes a pod."""
        known = self._pods.pop(uid, None)
        if known is not None:
            self._add(known[0], -known[1])

    def _add(self, node: str, millis: int) -> None:
        if node:
            self.by_node[node] = self.by_node.get(node, 0) + millis
            self.changed = True
