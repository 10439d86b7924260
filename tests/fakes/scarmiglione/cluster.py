"""An API server over HTTP, as small as scarmiglione's own process needs: as rubicante's, with a
Network.
"""

import threading
from typing import Any

from k40s.annotations import NETWORK_STATE_KEY
from tests.fakes.kube.networks import network_object
from tests.fakes.rubicante.cluster import Cluster
from tests.fakes.scarmiglione.world import INTERFACE, NET, NODE

SPEC = {
    "members": [
        {"node": NODE, "interface": INTERFACE},
        {"node": "edge-9", "interface": INTERFACE},
    ],
    "tdma": {"cycle": "1ms", "guard": "10us", "bitRate": "100Mbit", "master": "edge-9"},
}


class StationCluster(Cluster):
    """``published`` is set by the next write of the node's network state."""

    def __init__(self) -> None:
        super().__init__()
        self.reservations: list[dict[str, object]] = []
        self.published = threading.Event()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, object]:  # noqa: ANN401
        if path == "/apis/k40s.io/v1alpha1/networks":
            status = {"reservations": self.reservations}
            item = network_object(NET, SPEC, status=status)
            return 200, {"items": [item], "metadata": {"resourceVersion": "1"}}
        found = super().answer(method, path, body)
        if method == "PATCH" and NETWORK_STATE_KEY in str(body):
            self.published.set()
        return found
