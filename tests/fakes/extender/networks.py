"""Networks at the API server and the nodes' stations, in memory, with faults at each call."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from k40s.annotations import BackEnd, NetworkNodeState, StationState
from k40s.kube.records import NetworkRecord
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.network.model import (
    Link,
    Member,
    Network,
    NetworkReservation,
    NetworkState,
    Tdma,
)
from k40s.node_api.network_messages import GrantedSlot, SlotsAnswer, SlotsRequest
from k40s.reasons import Reason
from k40s.tdma.model import Cycle
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds

OBSERVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATION = "https://10.88.1.5:8446"
CHANNELS = 32

Hook = Callable[[str], object]
"""Called before a call has its effect ("update") and after it ("updated"); it may raise."""


def make_tdma(
    name: str = "plant",
    nodes: Sequence[str] = ("a", "b"),
    *,
    jitters: Mapping[str, int] | None = None,
) -> Network:
    """A cycle of 1 ms at 100 Mbit/s; jitter in µs by node."""
    late = jitters or {}
    return Network(
        name=name,
        members=tuple(
            Member(
                node=node,
                interface="rteth0",
                jitter=Nanoseconds(late.get(node, 0) * NS_PER_US),
            )
            for node in nodes
        ),
        tdma=Tdma(
            cycle=Cycle(
                period=Nanoseconds(NS_PER_MS),
                bit_rate=10**8,
                mtu=1500,
                guard=Nanoseconds(10 * NS_PER_US),
                sync_lateness=Nanoseconds(0),
            ),
            master=nodes[0],
        ),
        generation=1,
    )


def make_lan(
    name: str = "lan", nodes: Sequence[str] = ("a", "b"), *, capacity: int | None = 10**8
) -> Network:
    """A star: every node has a link of 1 ms to the switch."""
    return Network(
        name=name,
        members=tuple(Member(node=node, interface="eth0") for node in nodes),
        links=tuple(
            Link(ends=(node, "switch"), delay=Nanoseconds(NS_PER_MS), capacity=capacity)
            for node in nodes
        ),
        generation=1,
    )


def make_stations(
    *networks: str, endpoint: str = STATION, lease: Nanoseconds | None = None, **changes: object
) -> NetworkNodeState:
    facts: dict[str, object] = {
        "interface": "rteth0",
        "back_end": BackEnd.TDMACFG,
        "channels": CHANNELS,
    }
    station = StationState(**(facts | changes))  # type: ignore[arg-type]  # tests change fields
    return NetworkNodeState(
        endpoint=endpoint,
        lease=lease or Nanoseconds(30 * NS_PER_S),
        observed=OBSERVED,
        networks=dict.fromkeys(networks or ("plant",), station),
    )


def slot(network: str = "plant", *, payload: str = "60B", period: str = "1ms") -> dict[str, object]:
    return {"network": network, "slot": {"payload": payload, "period": period}}


def path(peer: str, network: str = "lan", **needs: str) -> dict[str, object]:
    return {"network": network, "peer": peer, **(needs or {"bandwidth": "10Mbit"})}


class FakeNetworks:
    """The API server's Networks: writes are conditional on the version."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.lock = threading.Lock()
        self.version = 100
        self.states: dict[str, NetworkState] = {}
        self.on_call: Hook = lambda _call: None

    def declare(self, network: Network, fault: str | None = None) -> NetworkRecord:
        self._store(NetworkState(network=network, fault=fault))
        return self._record(network.name)

    def records(self) -> list[NetworkRecord]:
        return [self._record(name) for name in self.states]

    def reservations(self, name: str = "plant") -> tuple[NetworkReservation, ...]:
        return self.states[name].reservations

    def write(self, name: str, reservations: Sequence[NetworkReservation]) -> None:
        """Somebody else writes."""
        self._store(replace(self.states[name], reservations=tuple(reservations)))

    def get_network(self, name: str, *, timeout: Nanoseconds | None = None) -> NetworkRecord | None:
        assert timeout is not None
        self.journal.append(f"get {name}")
        self.on_call("get")
        return self._record(name) if name in self.states else None

    def update_network_reservations(
        self,
        name: str,
        reservations: Sequence[NetworkReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> NetworkRecord:
        assert timeout is not None
        self.journal.append(f"update {name}")
        self.on_call("update")
        with self.lock:
            state = self.states.get(name)
            if state is None:
                raise NotFoundError(name)
            if state.resource_version != version:
                raise ConflictError(f"409 {name}")
            self._store(replace(state, reservations=tuple(reservations)))
            written = self._record(name)
        self.on_call("updated")
        return written

    def _store(self, state: NetworkState) -> None:
        self.version += 1
        name = state.network.name
        self.states[name] = replace(state, resource_version=str(self.version))

    def _record(self, name: str) -> NetworkRecord:
        return NetworkRecord(name=name, uid=f"uid-{name}", state=self.states[name])


class FakeStations:
    """The stations of all nodes, by their endpoint: slots by pod, with the attempts that asked."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.held: dict[tuple[str, str], tuple[SlotsRequest, set[str]]] = {}
        self.withdrawn: set[str] = set()
        self.on_call: Hook = lambda _call: None
        self.reason: Reason | None = None
        self.backend = "tdmacfg"

    def apply(
        self,
        endpoint: str,
        request: SlotsRequest,
        *,
        attempt: str,
        timeout: Nanoseconds | None = None,
    ) -> SlotsAnswer:
        assert timeout is not None
        self.journal.append(f"apply {request.pod.uid} at {endpoint}")
        self.on_call("apply")
        if attempt in self.withdrawn:
            return SlotsAnswer(schedulable=False, reason=Reason.POD_WITHDRAWN)
        if self.reason is not None:
            return SlotsAnswer(schedulable=False, reason=self.reason, detail="as the test wants it")
        _, attempts = self.held.get((endpoint, request.pod.uid), (request, set()))
        self.held[endpoint, request.pod.uid] = request, attempts | {attempt}
        self.on_call("applied")
        granted = tuple(
            GrantedSlot(
                network=one.network, interface="rteth0", backend=self.backend, channel=number + 2
            )
            for number, one in enumerate(request.slots)
        )
        return SlotsAnswer(schedulable=True, granted=granted)

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        assert timeout > 0
        self.journal.append(f"withdraw {uid} at {endpoint}")
        self.on_call("withdraw")
        self.withdrawn.add(attempt)
        request, attempts = self.held.get((endpoint, uid), (None, set()))
        attempts.discard(attempt)
        if request is not None and not attempts:
            del self.held[endpoint, uid]
        self.on_call("withdrawn")
