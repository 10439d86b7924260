"""Many extenders that bind many pods at once, against the real API server.

Everything between kube-scheduler's calls and the API server's answers is the real extender, once
for each binder, without a watch: so every binder learns of the others by conflicts alone. The
stations are in memory.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from k40s.annotations import NETWORK_GRANT_KEY, NETWORK_KEY, GrantedSlots, parse_network_grants
from k40s.kube.connect import connect
from k40s.kube.gateway import KubeGateway
from k40s.ledger.collection import PodFact, collect
from k40s.network.model import NetworkState
from k40s.strict_json import format_json
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.network_checks import colliding_slots, overloaded_links
from tests.fakes.extender.networks import FakeStations, make_stations, path, slot
from tests.fakes.extender.world import World, make_node
from tests.fakes.registered_nodes import (
    NETWORKS,
    PODS,
    Api,
    create_pods,
    delete_pods,
    make_spec,
    wait_until,
)

NODES = ("a", "b", "c", "d")
BINDERS = 16
PATIENCE = Nanoseconds(30 * NS_PER_S)
"""Of one bind: much more than in production, so that no end depends on the machine's load."""
_AGAIN = ("network.conflicts", "api.silent", "pod.changed")
"""Errors after which kube-scheduler's retry may succeed."""
_MOST_REPEATS = 500
"""Of one binder: a net against hangs."""


@dataclass
class RealClock:
    """The machine's clocks."""

    def monotonic(self) -> int:
        return time.monotonic_ns()

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        threading.Event().wait(seconds)


def create_networks(api: Api) -> None:
    """A TDMA network and a best-effort one."""
    members = [{"node": node, "interface": "eth1"} for node in NODES]
    tdma = {"cycle": "1ms", "guard": "10us", "bitRate": "100Mbit", "master": NODES[0]}
    links = [
        {"from": node, "to": "switch", "delay": "10us", "capacity": "100Mbit"} for node in NODES
    ]
    for name, spec in (("plant", {"tdma": tdma}), ("lan", {"links": links})):
        body = {
            "apiVersion": "k40s.io/v1alpha1",
            "kind": "Network",
            "metadata": {"name": name},
            "spec": {"members": members, **spec},
        }
        api.request("POST", NETWORKS, body)


def make_crowd(count: int) -> list[dict[str, Any]]:
    """Pods that need a slot, a path to node a, or both; much more than there is room for."""
    needs = (
        [slot("plant", payload="600B", period="4ms")],
        [path("a", bandwidth="3Mbit")],
        [slot("plant", payload="600B", period="4ms"), path("a", bandwidth="3Mbit")],
    )
    return [
        make_spec(
            f"crowd-{number}",
            scheduler="nobody",
            annotations={NETWORK_KEY: format_json(needs[number % len(needs)])},
        )
        for number in range(count)
    ]


@dataclass
class Crowd:
    """The pods of a run, and how their binds ended."""

    plane: ControlPlane
    api: Api
    count: int
    stations: FakeStations = field(default_factory=FakeStations)
    ends: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    conflicts: int = 0

    def create(self) -> list[dict[str, Any]]:
        """Create the pods; as the API server has them."""
        create_pods(self.api, make_crowd(self.count))
        return self.pods()

    def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.request("GET", PODS)["items"]
        return found

    def bind(self, pods: Sequence[Mapping[str, Any]]) -> None:
        """All binders take pods from one queue, and repeat what kube-scheduler would."""
        shares = [pods[number::BINDERS] for number in range(BINDERS)]
        begin = threading.Barrier(BINDERS)

        def work(number: int) -> tuple[Counter[str], int, int]:
            world = self._start_extender(f"binder{number}")
            begin.wait(60)
            ends: Counter[str] = Counter()
            repeats = 0
            for pod in shares[number]:
                error = self._schedule(world, pod)
                while error.startswith(_AGAIN):
                    repeats += 1
                    assert repeats < _MOST_REPEATS, error
                    error = self._schedule(world, pod)
                ends[error.partition(":")[0] or "bound"] += 1
            conflicts = world.registry.get_sample_value("k40s_extender_network_conflicts_total")
            return ends, repeats, int(conflicts or 0)

        with ThreadPoolExecutor(BINDERS) as pool:
            for ends, repeats, conflicts in pool.map(work, range(BINDERS)):
                self.ends += ends
                self.repeats += repeats
                self.conflicts += conflicts

    def faults(self) -> list[str]:
        """Whatever must never be, by what the API server and the stations have.

        A bind that fails and cannot take its entry back in time leaves one that ends by itself.
        """
        states = self.states()
        found = colliding_slots(states["plant"].network, states["plant"].reservations)
        found += overloaded_links(states["lan"].network, states["lan"].reservations)
        bound = {p["metadata"]["uid"]: p for p in self.pods() if p["spec"].get("nodeName")}
        for name, state in states.items():
            holders = Counter(one.owner.uid for one in state.reservations)
            asking = {uid for uid, pod in bound.items() if f'"{name}"' in _asked(pod)}
            found += [f"{name}: {uid} holds {n} times" for uid, n in holders.items() if n > 1]
            found += [
                f"{name}: {one.owner.uid} holds for ever, unbound"
                for one in state.reservations
                if one.owner.uid not in bound and one.until is None
            ]
            found += [f"{name}: {uid} is bound, and has none" for uid in asking - holders.keys()]
        for uid, pod in bound.items():
            found += _untold(uid, pod, states)
        having_slots = {one.owner.uid for one in states["plant"].reservations}
        held = {uid for _, uid in self.stations.held}
        if not having_slots & bound.keys() <= held <= having_slots:
            found.append("the stations hold other slots than the status says")
        return found

    def states(self) -> dict[str, NetworkState]:
        records = self._gateway().networks().list().records
        return {record.name: record.state for record in records}

    def remove(self) -> None:
        """Delete all pods, and collect as the controller does."""
        delete_pods(self.api)
        wait_until(lambda: not self.pods())
        gateway = self._gateway()
        for name, state in self.states().items():
            facts: dict[str, PodFact | None] = {one.owner.uid: None for one in state.reservations}
            plan = collect(state.reservations, facts, frozenset())
            gateway.update_network_reservations(
                name, plan.reservations, version=state.resource_version
            )

    def _schedule(self, world: World, pod: Mapping[str, Any]) -> str:
        """Filter, then bind to the first node that fits, as kube-scheduler does."""
        answer = world.filter(pod, NODES[1:])  # the node of all peers is full of itself
        fit, refused = answer["NodeNames"], answer["FailedAndUnresolvableNodes"]
        if not fit:
            assert isinstance(refused, dict)
            return str(next(iter(refused.values())))
        assert isinstance(fit, list)
        return world.bind(pod, fit[hash(pod["metadata"]["name"]) % len(fit)])

    def _start_extender(self, name: str) -> World:
        gateway = self._gateway()
        world = World(
            clock=RealClock(),  # type: ignore[arg-type]  # has the methods of the fake one
            on_clock=time.monotonic_ns,
            networks=gateway,  # type: ignore[arg-type]  # the port's own adapter
            pods=gateway,  # type: ignore[arg-type]  # likewise
            stations=self.stations,
            network_timeout=PATIENCE,
            bind_timeout=PATIENCE,
            patience=PATIENCE,
            name=name,
        )
        stations = make_stations("plant", lease=Nanoseconds(3600 * NS_PER_S))
        world.add(*(make_node(node, stations=stations) for node in NODES))
        world.network_table.feed.replace(gateway.networks().list().records)
        return world

    def _gateway(self) -> KubeGateway:
        return connect(kubeconfig=str(self.plane.kubeconfig), timeout=PATIENCE)


def _asked(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["annotations"][NETWORK_KEY])


def _untold(uid: str, pod: Mapping[str, Any], states: Mapping[str, NetworkState]) -> list[str]:
    """What a bound pod was told, and does not hold."""
    found = []
    for grant in parse_network_grants(pod["metadata"]["annotations"][NETWORK_GRANT_KEY]):
        held = [one for one in states[grant.network].reservations if one.owner.uid == uid]
        if isinstance(grant, GrantedSlots):
            told = [(w.offset, w.phasing - 1, w.every) for w in grant.slots]
            kept = [
                [(w.offset, w.phase, w.every) for w in slots.windows]
                for one in held
                for slots in one.slots
            ]
            found += [] if told in kept else [f"{uid}: {grant.network} is not what it was told"]
        elif grant.path not in [way for one in held for way in one.paths]:
            found.append(f"{uid}: {grant.network} is not what it was told")
    return found


def describe(crowd: Crowd, seconds: float) -> str:
    """One line of figures."""
    ends = ", ".join(f"{end} {count}" for end, count in sorted(crowd.ends.items()))
    return (
        f"{crowd.count} pods, {BINDERS} binders: {ends}; {crowd.conflicts} conflicts, "
        f"{crowd.repeats} binds repeated; {seconds:.1f} s"
    )


def timed(act: Callable[[], object]) -> float:
    """Seconds that an act takes."""
    started = time.monotonic()
    act()
    return time.monotonic() - started
