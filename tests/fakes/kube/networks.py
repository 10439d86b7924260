"""Networks at an API server that exists in memory: versions, conflicts, and what was written."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from k40s.kube.objects.networks import network_record
from k40s.kube.records import NetworkRecord
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.network.model import NetworkReservation
from k40s.units import Nanoseconds

TDMA: dict[str, Any] = {
    "members": [
        {"node": "n1", "interface": "eth1"},
        {"node": "n2", "interface": "eth1"},
        {"node": "n3", "interface": "eth1", "jitter": "20us"},
    ],
    "tdma": {"cycle": "1ms", "guard": "10us", "bitRate": "100Mbit", "master": "n1"},
}
"""The spec of a TDMA network of three nodes."""
LAN: dict[str, Any] = {
    "members": [
        {"node": "n1", "interface": "eth0"},
        {"node": "n2", "interface": "eth0"},
        {"node": "n3", "interface": "eth0"},
    ],
    "links": [
        {"from": "n1", "to": "switch", "delay": "100us", "capacity": "1Gbit"},
        {"from": "n2", "to": "switch", "delay": "100us", "capacity": "100Mbit"},
        {"from": "n3", "to": "switch", "delay": "5ms", "capacity": "1Gbit"},
    ],
}
"""The spec of a best-effort network of three nodes around a switch."""


def network_object(
    name: str, spec: object, *, status: object = None, version: str = "1", generation: int = 1
) -> dict[str, object]:
    """The JSON of a Network, as the API server would store it."""
    return {
        "apiVersion": "k40s.io/v1alpha1",
        "kind": "Network",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "generation": generation,
        },
        "spec": spec,
        "status": {} if status is None else status,
    }


class FakeNetworks:
    """The gateway's methods about Networks. ``before_write`` is called before each write."""

    def __init__(self, **specs: object) -> None:
        self.records = {
            name: network_record(network_object(name, spec)) for name, spec in specs.items()
        }
        self.before_write: Callable[[str], None] = lambda _name: None
        self.writes = 0
        self._version = 1
        self._lock = Lock()

    def get_network(self, name: str, *, timeout: Nanoseconds | None = None) -> NetworkRecord | None:
        del timeout
        return self.records.get(name)

    def update_network_reservations(
        self,
        name: str,
        reservations: Sequence[NetworkReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> NetworkRecord:
        del timeout
        self.before_write(name)
        held = tuple(reservations)
        return self._write(
            name,
            version,
            lambda old: replace(old, state=replace(old.state, reservations=held)),
        )

    def _write(
        self, name: str, version: str, change: Callable[[NetworkRecord], NetworkRecord]
    ) -> NetworkRecord:
        with self._lock:
            old = self.records.get(name)
            if old is None:
                raise NotFoundError(f"no Network {name}")
            if old.state.resource_version != version:
                raise ConflictError(f"Network {name} is at another version")
            self._version += 1
            self.writes += 1
            new = change(old)
            state = replace(new.state, resource_version=str(self._version))
            self.records[name] = replace(new, state=state)
            return self.records[name]
