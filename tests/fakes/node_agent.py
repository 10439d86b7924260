"""A Node and a report on it, in memory."""

from collections.abc import Mapping

from k40s.errors import UnavailableError
from k40s.kube.records import NodeCondition, NodeRecord
from k40s.kube.transport import NotFoundError
from k40s.node_agent.publication import NodeKeys
from k40s.units import Nanoseconds


class FakeCluster:
    """One node, and its leases."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.condition: NodeCondition | None = None
        self.reads = 0
        self.writes = 0
        self.failures = 0
        self.leases: list[tuple[str, str, str, int]] = []
        self.exists = True
        self.down = False

    def get_node(self, name: str) -> NodeRecord | None:
        self.reads += 1
        self._check()
        if not self.exists:
            return None
        return NodeRecord(
            name=name, labels=self.labels, annotations=self.annotations, resource_version="1"
        )

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] = {},
        annotations: Mapping[str, str | None] = {},
        condition: NodeCondition | None = None,
    ) -> NodeRecord:
        self._check()
        if not self.exists:
            raise NotFoundError(f"PATCH {name}: 404")
        if self.failures:
            self.failures -= 1
            raise UnavailableError("no")
        self.writes += 1
        self.condition = condition or self.condition
        for store, keys in ((self.labels, labels), (self.annotations, annotations)):
            for key, text in keys.items():
                if text is None:
                    store.pop(key, None)
                else:
                    store[key] = text
        record = self.get_node(name)
        assert record is not None
        return record

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        self._check()
        self.leases.append((namespace, name, holder, duration))

    def _check(self) -> None:
        if self.down:
            raise UnavailableError("connection refused")


class FakeReport:
    """Implements ``NodeReport``; the test sets what there is to say."""

    def __init__(self) -> None:
        self.keys: NodeKeys | None = NodeKeys(annotations={"a": "1"}, labels={"l": "x"})
        self.understands = True
        self.cause: str | None = None
        self.read_records: list[NodeRecord] = []
        self.confirmed: list[bool] = []

    def read(self, record: NodeRecord) -> bool:
        self.read_records.append(record)
        return self.understands

    def contents(self) -> NodeKeys | None:
        return self.keys

    def confirm(self, *, wrote: bool) -> None:
        self.confirmed.append(wrote)

    def trouble(self) -> str | None:
        return self.cause
