"""One TDMA network in memory: pods, an extender that reserves and binds, controllers that collect.

Every process has clocks of its own. What a controller's informers show lags behind until a test
lets it catch up; ``get_pod`` and ``write`` act on the truth, as the API server does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from controller.collection.collector import Collector
from controller.collection.networks import NetworkLedgers
from controller.collection.retries import Retries
from controller.collection.stage import declared
from controller.metrics import CollectionMetrics
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.objects.network_status import WatchedNetwork
from k40s.kube.records import PodRecord
from k40s.kube.transport import ConflictError
from k40s.ledger.collection import PodFact
from k40s.ledger.entry import Owner
from k40s.network.model import Member, Network, NetworkReservation, NetworkState, Tdma
from k40s.network.status import NetworkSummary
from k40s.node_agent.backoff import Backoff
from k40s.tdma.model import Cycle, SlotGrant, Window
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds

START = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "plant"
NODES = ("edge-1", "edge-2", "edge-3")
PLACES = 8
LEASE_SECONDS = 30
LONGEST_BIND = 5 * NS_PER_S
CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS),
    bit_rate=100_000_000,
    mtu=1500,
    guard=Nanoseconds(10 * NS_PER_US),
)
NETWORK = Network(
    name=NAME,
    members=tuple(Member(node=node, interface="rteth0") for node in NODES),
    tdma=Tdma(cycle=CYCLE, master=NODES[0]),
    generation=1,
)


class CrashError(BaseException):
    """The controller's process ends here; nothing may catch it."""


def place(number: int) -> Window:
    """One of ``PLACES`` slots that do not overlap."""
    return Window(
        offset=Nanoseconds((100 + 100 * number) * NS_PER_US),
        phase=0,
        every=1,
        length=Nanoseconds(50 * NS_PER_US),
        payload=256,
    )


def entry(
    uid: str, node: str, number: int, *, attempt: str = "", until: datetime | None = None
) -> NetworkReservation:
    """A pod's reservation of one place."""
    return NetworkReservation(
        owner=Owner(uid=uid, namespace="default", name=uid),
        node=node,
        slots=(SlotGrant(windows=(place(number),)),),
        attempt=attempt,
        until=until,
    )


@dataclass
class FakePlant:
    """The API server's truth, and the extender."""

    now: int = 0
    network: Network = NETWORK
    reservations: tuple[NetworkReservation, ...] | None = ()
    summary: NetworkSummary = field(default_factory=NetworkSummary)
    fault: str | None = None
    version: int = 1
    pods: dict[str, PodFact] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NODES, "ok"))
    held: dict[str, str] = field(default_factory=dict)
    """The digests that stations publish."""
    announced: list[tuple[int, str]] = field(default_factory=list)
    """When which Node was annotated."""
    nodes_known: frozenset[str] = frozenset(NODES)
    unavailable: bool = False
    unreadable: set[str] = field(default_factory=set)
    crash: str = ""
    """"before" or "after" the next write of a controller."""
    writes: int = 0
    asked: list[str] = field(default_factory=list)
    extender_skew: timedelta = timedelta(0)
    begun: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Binds in progress: when they began, and where to."""
    rightful: set[str] = field(default_factory=set)
    """Pods that were bound to the node of their reservation."""
    _attempts: int = 0

    def clock(self) -> int:
        return self.now

    def wall(self, skew: timedelta = timedelta(0)) -> datetime:
        return START + timedelta(microseconds=self.now // 1000) + skew

    def watched(self) -> WatchedNetwork:
        """The Network as it is."""
        state = NetworkState(
            network=self.network,
            reservations=self.reservations or (),
            resource_version=str(self.version),
            fault=self.fault,
        )
        return WatchedNetwork(
            state=state,
            reservations=self.reservations,
            summary=self.summary,
            generation=self.network.generation,
        )

    @property
    def entries(self) -> dict[tuple[str, str], NetworkReservation]:
        """By pod and node: a pod may have two, while it is unknown where it was bound."""
        return {(one.owner.uid, one.node): one for one in self.reservations or ()}

    # The extender

    def reserve(self, uid: str, node: str) -> bool:
        """Begin a bind: reserve a free place, as kube-scheduler asks for it.

        The pod's own entry on the node is taken over, and is renewed unless it is confirmed.
        """
        own = self.entries.get((uid, node))
        if own is not None and own.until is None:
            return False
        others = [one for one in self.reservations or () if one is not own]
        taken = {one.slots[0].windows[0] for one in others}
        free = [number for number in range(PLACES) if place(number) not in taken]
        if not free:
            return False
        self._attempts += 1
        until = self.wall(self.extender_skew) + timedelta(seconds=LEASE_SECONDS)
        self.put((*others, entry(uid, node, free[0], attempt=str(self._attempts), until=until)))
        self.begun[uid] = (self.now, node)
        return True

    def bind(self, uid: str, *, answered: bool = True) -> None:
        """Send the Binding of a bind that has not run out of time; the pod may be gone by now.

        The bind goes on without an ``answered`` Binding: it does not know how that ended.
        """
        began, node = self.begun[uid]
        if self.now - began <= LONGEST_BIND and uid in self.pods and not self.pods[uid].node:
            self.pods[uid] = PodFact(node=node)
            self.rightful.add(uid)
            del self.begun[uid]
        elif answered:
            self.undo(uid)

    def undo(self, uid: str) -> None:
        """A bind that failed for certain gives its reservation back."""
        _, node = self.begun.pop(uid)
        if self.pods.get(uid, PodFact(node="")).node != node:
            mine = (uid, node)
            self.put([one for key, one in self.entries.items() if key != mine])

    def put(self, reservations: Sequence[NetworkReservation]) -> None:
        """Write the reservations."""
        self.reservations = tuple(reservations)
        self.version += 1

    # PodSource

    def get_pod(
        self, namespace: str, name: str, *, timeout: Nanoseconds | None = None
    ) -> PodRecord | None:
        del timeout
        self.asked.append(name)
        if self.unavailable:
            raise UnavailableError("GET pod: refused")
        if name in self.unreadable:
            raise UnreadableError("spec.nodeName: found 3, expected a string")
        fact = self.pods.get(name)
        return None if fact is None else _record(name, namespace, fact)

    # NodeAnnotator

    def patch_node(self, name: str, *, annotations: Mapping[str, str | None]) -> object:
        if self.unavailable:
            raise UnavailableError("PATCH node: refused")
        self.announced.append((self.now, name))
        return annotations

    # StatusWriter

    def write(
        self,
        state: NetworkState,
        summary: NetworkSummary,
        reservations: tuple[NetworkReservation, ...] | None,
    ) -> None:
        crash, self.crash = self.crash, ""
        if crash == "before":
            raise CrashError
        if self.unavailable:
            raise UnavailableError("PATCH network: refused")
        if state.resource_version != str(self.version):
            raise ConflictError("the object has been modified")
        self.writes += 1
        self.summary = summary
        self.version += 1
        if reservations is not None:
            self.reservations = reservations
        if crash == "after":
            raise CrashError


class Process:
    """One controller process with its caches; nothing of it outlives it."""

    def __init__(self, plant: FakePlant, *, skew: timedelta = timedelta(0)) -> None:
        self.plant = plant
        self.leading = True
        self.registry = CollectorRegistry()
        self._network = plant.watched()
        self._pods: Mapping[str, PodFact] = dict(plant.pods)
        self._retries = Retries(
            nodes=plant,
            backoff=Backoff(pause=Nanoseconds(5 * NS_PER_S), clock=plant.clock),
            clock=plant.clock,
            wall=lambda: plant.wall(skew),
        )
        self._collector = Collector(
            what="network",
            ledgers=NetworkLedgers(around=self, writer=plant, clock=plant.clock).look,
            cached=self.pods,
            pods=plant,
            leadership=self,
            metrics=CollectionMetrics(self.registry),
            backoff=Backoff(pause=Nanoseconds(5 * NS_PER_S), clock=plant.clock),
            clock=plant.clock,
            wall=lambda: plant.wall(skew),
            on_freed=self._retries.note_freed,
        )

    def tick(self) -> None:
        """Look once, as ``CollectionStage`` does."""
        if self.leading:
            self._retries.look("networks", declared(self.networks()))
            self._retries.send(self.nodes())
        self._collector.tick()

    def see_pods(self) -> None:
        """The watch of Pods catches up."""
        self._pods = dict(self.plant.pods)

    def see_network(self) -> None:
        """The watch of Networks catches up."""
        self._network = self.plant.watched()

    def run(self, seconds: float, *, step: float = 1.0) -> None:
        """Look once a step with caches that are up to date."""
        for _ in range(int(seconds / step)):
            self.see_pods()
            self.see_network()
            self.tick()
            self.plant.now += int(step * NS_PER_S)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"k40s_controller_{name}", labels) or 0.0

    def networks(self) -> Mapping[str, WatchedNetwork]:
        return {NAME: self._network}

    def pods(self) -> Mapping[str, PodFact]:
        return self._pods

    def nodes(self) -> frozenset[str]:
        return self.plant.nodes_known

    def health(self) -> Mapping[str, Mapping[str, str]]:
        return {NAME: dict(self.plant.codes)}

    def held(self) -> Mapping[str, Mapping[str, str]]:
        return {NAME: dict(self.plant.held)}


def _record(name: str, namespace: str, fact: PodFact) -> PodRecord:
    return PodRecord(
        uid=name,
        namespace=namespace,
        name=name,
        node=fact.node,
        phase="Succeeded" if fact.ended else "Running",
        labels={},
        annotations={},
        containers=("main",),
        container_ids={},
        deleting=False,
        cpu_request_millis=0,
        scheduler="k40s-scheduler",
    )
