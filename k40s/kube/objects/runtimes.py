"""RuntimeClasses, and the runtime handlers that a Node has.

A kubelet of Kubernetes 1.31 or later publishes the handlers of its container runtime in
``status.runtimeHandlers``, if the runtime names them (containerd 2 does). For other nodes
the operator declares them by labels.
"""

from dataclasses import dataclass

from k40s.annotations import RUNTIME_LABEL_PREFIX
from k40s.kube.objects.fields import Fields, JsonObject, names
from k40s.kube.records import Fault

CLASSES_PATH = "/apis/node.k8s.io/v1/runtimeclasses"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeClassRecord:
    """A RuntimeClass. ``handler`` is "" where it cannot be read; no node has that one."""

    name: str
    handler: str
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRuntimes:
    """The runtime handlers of a Node, by its kubelet, or by its labels where that names none."""

    name: str
    handlers: frozenset[str]
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.name


def runtime_class_record(item: JsonObject) -> RuntimeClassRecord:
    """Read a node.k8s.io/v1 RuntimeClass. Raises ``NamelessError``."""
    (name,) = names(item, "name")
    fields = Fields()
    handler = fields.text("handler", "handler", item.get("handler"))
    return RuntimeClassRecord(name=name, handler=handler, faults=fields.faults)


def node_runtimes(item: JsonObject) -> NodeRuntimes:
    """Read a Node. A list that can be read in parts only counts for these. ``NamelessError``."""
    (name,) = names(item, "name")
    fields = Fields()
    status = fields.part("handlers", "status", item.get("status"))
    if fields.faults:
        return NodeRuntimes(name=name, handlers=frozenset(), faults=fields.faults)
    published = status.get("runtimeHandlers")
    handlers = _published(fields, published) if published else _labelled(fields, item)
    return NodeRuntimes(name=name, handlers=handlers, faults=fields.faults)


def _published(fields: Fields, published: object) -> frozenset[str]:
    """Names of handlers; the default handler has none, and no RuntimeClass can ask for it."""
    found = {
        fields.text("handlers", f"{path}.name", one.get("name"))
        for path, one in fields.parts("handlers", "status.runtimeHandlers", published)
    }
    return frozenset(found - {""})


def _labelled(fields: Fields, item: JsonObject) -> frozenset[str]:
    meta = fields.part("handlers", "metadata", item.get("metadata"))
    labels = fields.texts("handlers", "metadata.labels", meta.get("labels"))
    return frozenset(
        key.removeprefix(RUNTIME_LABEL_PREFIX)
        for key, text in labels.items()
        if key.startswith(RUNTIME_LABEL_PREFIX) and text == "true"
    )
