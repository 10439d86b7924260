"""Watched RuntimeClasses, and the runtime handlers of the nodes.

They are watched only where ``K40S_RUNTIME_CLASSES`` maps a criticality.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.kube.watching.feed import Feed


class RuntimeTable:
    """Fed by two informers, whose handlers are ``classes`` and ``nodes``; any thread may read.

    ``on_change`` is called after each change that a decision may depend on.
    """

    def __init__(self, *, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._handler_of: Mapping[str, str] = {}
        self._having: Mapping[str, AbstractSet[str]] = {}
        self._by_node: dict[str, frozenset[str]] = {}
        self.classes = Feed(
            self._replace_classes, self._merge_classes, self._upsert_class, self._delete_class
        )
        self.nodes = Feed(
            self._replace_nodes, self._merge_nodes, self._upsert_node, self._delete_node
        )

    def nodes_with(self, runtime_class: str) -> AbstractSet[str]:
        """Names of the nodes that have its handler; none for a class that does not exist."""
        return self._having.get(self._handler_of.get(runtime_class, ""), frozenset())

    def _replace_classes(self, records: Sequence[RuntimeClassRecord]) -> None:
        self._put_classes({record.name: record.handler for record in records})

    def _merge_classes(self, records: Sequence[RuntimeClassRecord]) -> None:
        known = dict(self._handler_of)
        self._put_classes(known | {record.name: record.handler for record in records})

    def _upsert_class(self, record: RuntimeClassRecord) -> None:
        self._merge_classes([record])

    def _delete_class(self, name: str) -> None:
        self._put_classes({key: text for key, text in self._handler_of.items() if key != name})

    def _put_classes(self, handler_of: Mapping[str, str]) -> None:
        changed, self._handler_of = handler_of != self._handler_of, handler_of
        if changed:
            self._on_change()

    def _replace_nodes(self, records: Sequence[NodeRuntimes]) -> None:
        self._put_nodes(records, gone=self._by_node.keys() - {record.name for record in records})

    def _merge_nodes(self, records: Sequence[NodeRuntimes]) -> None:
        self._put_nodes(records)

    def _upsert_node(self, record: NodeRuntimes) -> None:
        self._put_nodes([record])

    def _delete_node(self, name: str) -> None:
        self._put_nodes([], gone=[name])

    def _put_nodes(self, records: Sequence[NodeRuntimes], gone: Iterable[str] = ()) -> None:
        """Takes the handlers of nodes; a heartbeat, which changes none, costs one comparison."""
        with self._lock:
            by_node = self._by_node
            new = {one.name: one.handlers for one in records if _is_new(one, by_node)}
            old = {name for name in gone if name in by_node}
            if not new and not old:
                return
            kept = {name: found for name, found in by_node.items() if name not in old}
            self._by_node = kept | new
            having: dict[str, set[str]] = {}
            for name, handlers in self._by_node.items():
                for handler in handlers:
                    having.setdefault(handler, set()).add(name)
            self._having = having
        self._on_change()


def _is_new(record: NodeRuntimes, known: Mapping[str, frozenset[str]]) -> bool:
    return known.get(record.name) != record.handlers
