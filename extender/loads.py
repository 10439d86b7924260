"""CPU requested by the pods of each node, for packing."""

from collections.abc import Sequence

from k40s.runtime.records import PodRecord

UNREQUESTED_MILLIS = 100
"""What a pod without a CPU request counts, as in kube-scheduler's own scoring."""


class Loads:
    """Thousandths of a CPU by node. Not locked; ``changed`` is for the reader to clear."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, int]] = {}
        self.by_node: dict[str, int] = {}
        self.changed = False

    def replace(self, records: Sequence[PodRecord]) -> None:
        """These are all pods."""
        self._pods = {
            record.uid: (record.node, record.cpu_request_millis or UNREQUESTED_MILLIS)
            for record in records
            if not record.ended
        }
        self.by_node = {}
        for node, millis in self._pods.values():
            self._add(node, millis)
        self.changed = True

    def upsert(self, record: PodRecord) -> None:
        """A pod is new or has changed. A bound pod stays bound until it ends."""
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
        """A pod was bound just now; the watch will say so in a moment."""
        known = self._pods.get(uid)
        if known is not None and not known[0]:
            self._pods[uid] = (node, known[1])
            self._add(node, known[1])

    def delete(self, uid: str) -> None:
        """A pod is gone."""
        known = self._pods.pop(uid, None)
        if known is not None:
            self._add(known[0], -known[1])

    def _add(self, node: str, millis: int) -> None:
        if node:
            self.by_node[node] = self.by_node.get(node, 0) + millis
            self.changed = True
