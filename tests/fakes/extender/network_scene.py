"""A pod that needs two TDMA networks and a best-effort one, and what becomes of its bind."""

from collections.abc import Callable
from dataclasses import dataclass, field

from k40s.annotations import NETWORK_GRANT_KEY, GrantedSlots, parse_network_grants
from k40s.errors import UnavailableError
from k40s.ledger.collection import PodFact, collect, entry_key
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from tests.fakes.extender.network_checks import colliding_slots, overloaded_links, owners
from tests.fakes.extender.networks import (
    STATION,
    FakeNetworks,
    FakeStations,
    make_lan,
    make_stations,
    make_tdma,
    path,
    slot,
)
from tests.fakes.extender.world import (
    FakeBindings,
    FakeClock,
    World,
    make_node,
    make_pod,
    record_of,
)

NETWORKS = ("axis", "lan", "plant")
NODES = ("a", "b")
POD = make_pod("p", networks=[slot("plant"), slot("axis", period="2ms"), path("b")])
UID = "uid-p"


class KilledError(BaseException):
    """The process ends here: what it would do next does not happen."""


@dataclass
class FaultPoint:
    """Fails at the n-th moment before or after a call; with ``kills`` at every one after it too."""

    at: int = 0
    kills: bool = False
    moments: list[str] = field(default_factory=list)

    def pass_by(self, moment: str) -> None:
        self.moments.append(moment)
        if self.kills and self.at and len(self.moments) >= self.at:
            raise KilledError
        if len(self.moments) == self.at:
            station = moment in ("apply", "applied", "withdraw", "withdrawn")
            lost = DaemonError("lost", reason=Reason.NETWORK_STATION_SILENT)
            raise lost if station else UnavailableError("lost")


@dataclass
class Scene:
    """The API server and the stations, which outlive any extender."""

    clock: FakeClock = field(default_factory=FakeClock)
    networks: FakeNetworks = field(default_factory=FakeNetworks)
    stations: FakeStations = field(default_factory=FakeStations)
    pods: FakeBindings = field(default_factory=FakeBindings)
    extenders: int = 0

    def __post_init__(self) -> None:
        self.networks.declare(make_tdma("plant", NODES))
        self.networks.declare(make_tdma("axis", NODES))
        self.networks.declare(make_lan("lan", NODES))

    def create(self, pod: dict[str, object]) -> None:
        record = record_of(pod)
        self.pods.by_name[record.namespace, record.name] = record

    def start_extender(self) -> World:
        """Another process, which has listed everything."""
        self.extenders += 1
        world = World(
            clock=self.clock,
            networks=self.networks,
            stations=self.stations,
            pods=self.pods,
            name=f"extender{self.extenders}",
        )
        world.add(
            *(make_node(name, level=20, stations=make_stations("plant", "axis")) for name in NODES)
        )
        world.watch_networks()
        for record in self.pods.by_name.values():
            world.watch_pod(record)
        return world

    def fail(self, point: FaultPoint) -> None:
        self.networks.on_call = self.stations.on_call = point.pass_by
        self.pods.on_bind = lambda: point.pass_by("bind")
        self.pods.on_bound = lambda: point.pass_by("bound")

    def heal(self) -> None:
        self.fail(FaultPoint())

    def collect(self) -> None:
        """What the controller does, with what the API server says of every pod."""
        facts: dict[str, PodFact | None] = {
            record.uid: PodFact(node=record.node) for record in self.pods.by_name.values()
        }
        for name, state in self.networks.states.items():
            held = state.reservations
            known = {one.owner.uid: facts.get(one.owner.uid) for one in held}
            now = self.clock.wall()
            over = [one for one in held if one.until is not None and one.until <= now]
            plan = collect(held, known, {entry_key(one) for one in over})
            self.networks.write(name, plan.reservations)

    def settle_stations(self) -> None:
        """What scarmiglione does: it keeps what the status says for its node, and nothing else."""
        self.stations.held = {
            (endpoint, uid): kept
            for (endpoint, uid), kept in self.stations.held.items()
            if any(uid in owners(state.reservations) for state in self.networks.states.values())
        }

    def node_of(self, uid: str = UID) -> str:
        return next(one.node for one in self.pods.by_name.values() if one.uid == uid)

    def faults(self) -> list[str]:
        """Whatever must never be, in one version of all Networks."""
        found: list[str] = []
        for name, state in self.networks.states.items():
            check = overloaded_links if name == "lan" else colliding_slots
            found += [f"{name}: {text}" for text in check(state.network, state.reservations)]
            twice = [(one.owner.uid, one.node) for one in state.reservations]
            found += [f"{name}: {one} twice" for one in twice if twice.count(one) > 1]
        for record in self.pods.by_name.values():
            if record.node:
                found += self._missing(record.uid, record.node, record.annotations)
        return found

    def _missing(self, uid: str, node: str, annotations: object) -> list[str]:
        """A bound pod holds what its annotation tells, in the status and at the station."""
        assert isinstance(annotations, dict)
        found: list[str] = []
        if NETWORK_GRANT_KEY not in annotations:
            return [f"{uid}: no grant"]
        for grant in parse_network_grants(annotations[NETWORK_GRANT_KEY]):
            held = [
                one
                for one in self.networks.reservations(grant.network)
                if (one.owner.uid, one.node) == (uid, node)
            ]
            if not isinstance(grant, GrantedSlots):
                found += [] if [p for one in held for p in one.paths] else [f"{uid}: no path"]
                continue
            told = [(w.offset, w.phasing - 1, w.every) for w in grant.slots]
            kept = [
                [(w.offset, w.phase, w.every) for w in slots.windows]
                for one in held
                for slots in one.slots
            ]
            found += [] if told in kept else [f"{uid}: {grant.network} is not what it was told"]
        if (STATION, uid) not in self.stations.held and self._has_slots(uid):
            found.append(f"{uid}: nothing at its station")
        return found

    def _has_slots(self, uid: str) -> bool:
        return any(
            one.slots
            for state in self.networks.states.values()
            for one in state.reservations
            if one.owner.uid == uid
        )

    def holders(self) -> set[str]:
        """Everybody who holds anything anywhere."""
        found = {uid for _, uid in self.stations.held}
        for state in self.networks.states.values():
            found.update(owners(state.reservations))
        return found

    def delete(self, pod: str = "p") -> None:
        self.pods.by_name = {
            key: record for key, record in self.pods.by_name.items() if record.name != pod
        }


def moments_of(scene: Scene, act: Callable[[], object]) -> int:
    """How many moments a run without faults passes."""
    point = FaultPoint()
    scene.fail(point)
    act()
    return len(point.moments)
