"""Tells pods that wait of RuntimeClasses and runtime handlers, which kube-scheduler does not watch.

Only where the operator maps a criticality to a RuntimeClass; nothing else depends on them.
"""

import threading

from controller.cluster.runtimes import LastSeen
from controller.collection.ports import Leadership
from controller.collection.retries import Retries
from controller.metrics import ControllerMetrics
from k40s.kube.objects.runtimes import (
    CLASSES_PATH,
    NodeRuntimes,
    RuntimeClassRecord,
    node_runtimes,
    runtime_class_record,
)
from k40s.kube.transport import ApiTransport
from k40s.kube.watching.informer import Informer
from k40s.kube.watching.sources import ApiSource


class RuntimeStage:
    """Watches RuntimeClasses and Nodes by itself; ``retries`` is told of what changes."""

    def __init__(
        self,
        *,
        api: ApiTransport,
        leadership: Leadership,
        retries: Retries,
        metrics: ControllerMetrics,
        stop: threading.Event,
    ) -> None:
        self._leadership = leadership
        self._retries = retries
        self._classes = LastSeen[RuntimeClassRecord]()
        self._nodes = LastSeen[NodeRuntimes]()
        self._class_informer = Informer(
            name="runtime-classes",
            source=ApiSource(api, CLASSES_PATH, "", runtime_class_record),
            handler=self._classes,
            stop=stop,
            on_error=metrics.watch_errors.inc,
            on_unreadable=metrics.unreadable["runtime-classes"].inc,
        )
        self._node_informer = Informer(
            name="node-runtimes",
            source=ApiSource(api, "/api/v1/nodes", "", node_runtimes),
            handler=self._nodes,
            stop=stop,
            on_error=metrics.watch_errors.inc,
            on_unreadable=metrics.unreadable["nodes"].inc,
        )

    def start(self) -> None:
        """Start the informers."""
        self._class_informer.start()
        self._node_informer.start()

    def tick(self) -> None:
        """Look once. A Node without a handler helps no pod."""
        if not self._leadership.leading:
            return
        if self._class_informer.synchronized.is_set():
            classes = self._classes.records()
            handler_of = {name: one.handler for name, one in classes.items()}
            self._retries.look("runtime-classes", handler_of)
        if self._node_informer.synchronized.is_set():
            nodes = self._nodes.records()
            having = {name: one.handlers for name, one in nodes.items() if one.handlers}
            self._retries.look("node-runtimes", having)
