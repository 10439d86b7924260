"""What the nodes' daemons publish under one annotation, as values."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from k40s.errors import InvalidAnnotationError
from k40s.kube.records import NodeRecord

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Generic[T]):
    """A Node's annotation: its text, and its value, None where there is none."""

    text: str | None
    value: T | None


class NodeAnnotations(Generic[T]):
    """Handler of Nodes. Any thread may call. A text is parsed again only once it has changed."""

    def __init__(self, *, key: str, parse: Callable[[str], T]) -> None:
        """``parse`` raises ``InvalidAnnotationError``, and nothing else."""
        self._key = key
        self._parse = parse
        self._lock = threading.Lock()
        self._nodes: dict[str, Published[T]] = {}

    def replace(self, records: Sequence[NodeRecord]) -> None:
        """All Nodes."""
        with self._lock:
            former = self._nodes
            self._nodes = {one.name: self._read(one, former.get(one.name)) for one in records}

    def merge(self, records: Sequence[NodeRecord]) -> None:
        """Some of them."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: NodeRecord) -> None:
        """A Node is new or has changed."""
        with self._lock:
            self._nodes[record.name] = self._read(record, self._nodes.get(record.name))

    def delete(self, key: str) -> None:
        """A Node is gone: nothing is known of what ran there."""
        with self._lock:
            self._nodes.pop(key, None)

    def published(self) -> dict[str, Published[T]]:
        """A copy that does not change, by Node."""
        with self._lock:
            return dict(self._nodes)

    def _read(self, record: NodeRecord, former: Published[T] | None) -> Published[T]:
        text = record.annotations.get(self._key)
        if former is not None and former.text == text:
            return former
        if text is None:
            return Published(text=None, value=None)
        try:
            return Published(text=text, value=self._parse(text))
        except InvalidAnnotationError as error:
            log.warning("node annotation refused", extra={"node": record.name, "cause": str(error)})
            return Published(text=text, value=None)
