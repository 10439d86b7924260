"""Everything around one scarmiglione, in memory: store, kernel, Networks, pods, API server."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from daemons.scarmiglione.daemon import Daemon
from daemons.scarmiglione.settings import Settings
from daemons.scarmiglione.station.stations import MakeBackEnd
from k40s.annotations import (
    NETWORK_GRANT_KEY,
    GrantedSlots,
    GrantedWindow,
    format_network_grants,
)
from k40s.annotations.network_state import BackEnd
from k40s.errors import UnavailableError
from k40s.kube.list_watch import Listing
from k40s.kube.records import NodeCondition, NodeRecord, ObjectRef, PodRecord
from k40s.ledger.entry import Owner
from k40s.network.model import Member, Network, NetworkReservation, NetworkState, Tdma
from k40s.node_api.bodies import PodRef
from k40s.node_api.network_messages import RequestedSlot, SlotsAnswer, SlotsRequest
from k40s.runtime.store import StoreError
from k40s.tdma.model import Cycle, SlotGrant, Window
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.scarmiglione.back_end import Countdown, FakeBackEnd, FakeKernel

NODE = "edge-1"
NET = "plant"
INTERFACE = "rteth0"
CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS),
    bit_rate=100_000_000,
    mtu=1500,
    guard=Nanoseconds(10 * NS_PER_US),
)
SETTINGS = Settings(node_name=NODE, pod_ip="127.0.0.1")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def ref(number: int) -> PodRef:
    return PodRef(uid=uid(number), namespace="default", name=f"pod-{number}")


def window(at_us: int, *, phase: int = 0, every: int = 1, length_us: int = 40) -> Window:
    return Window(
        offset=Nanoseconds(at_us * NS_PER_US),
        phase=phase,
        every=every,
        length=Nanoseconds(length_us * NS_PER_US),
        payload=256,
    )


def ask(number: int, *windows: Window, network: str = NET) -> SlotsRequest:
    return SlotsRequest(pod=ref(number), slots=(RequestedSlot(network=network, windows=windows),))


def reservation(number: int, *windows: Window, node: str = NODE) -> NetworkReservation:
    return NetworkReservation(
        owner=Owner(uid=uid(number), namespace="default", name=f"pod-{number}"),
        node=node,
        slots=(SlotGrant(windows=windows),),
    )


def network(*members: str, name: str = NET, master: str = "edge-9") -> Network:
    nodes = dict.fromkeys((*(members or (NODE,)), master))
    return Network(
        name=name,
        members=tuple(Member(node=node, interface=INTERFACE) for node in nodes),
        tdma=Tdma(cycle=CYCLE, master=master),
    )


def pod(
    number: int, *, phase: str = "Running", annotations: Mapping[str, str] | None = None
) -> PodRecord:
    return PodRecord(
        uid=uid(number),
        namespace="default",
        name=f"pod-{number}",
        node=NODE,
        phase=phase,
        labels={},
        annotations=annotations or {},
        containers=("main",),
        container_ids={},
        deleting=False,
        cpu_request_millis=0,
        scheduler="k40s-scheduler",
    )


def grant(channel: int, *windows: Window) -> dict[str, str]:
    """The annotation of a pod that was told this channel."""
    told = GrantedSlots(
        network=NET,
        interface=INTERFACE,
        back_end=BackEnd.TDMACFG,
        slots=tuple(
            GrantedWindow(
                offset=one.offset, phasing=one.phase + 1, every=one.every, payload=one.payload
            )
            for one in windows
        ),
        channel=channel,
    )
    return {NETWORK_GRANT_KEY: format_network_grants((told,))}


@dataclass
class FakeStore:
    """Implements ``BookStore``; the process may be killed before and after each transaction."""

    steps: Countdown = field(default_factory=Countdown)
    texts: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    def entries(self) -> dict[str, str]:
        return dict(self.texts)

    def write(self, changes: Mapping[str, str | None]) -> None:
        self.steps.step()
        if self.broken:
            raise StoreError("the disk is full")
        for key, text in changes.items():
            if text is None:
                self.texts.pop(key, None)
            else:
                self.texts[key] = text
        self.steps.step()


class FakeApiServer:
    """A Node, its Lease, and events."""

    def __init__(self) -> None:
        self.node = NodeRecord(name=NODE, labels={}, annotations={}, resource_version="1")
        self.events: list[tuple[str, str, str]] = []
        self.patches = 0
        self.beats = 0
        self.down = False

    def get_node(self, name: str) -> NodeRecord | None:
        self._check()
        return self.node if name == NODE else None

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        condition: NodeCondition | None = None,
    ) -> NodeRecord:
        self._check()
        assert name == NODE
        assert condition is None
        self.patches += 1
        self.node = replace(
            self.node,
            labels=_merged(self.node.labels, labels or {}),
            annotations=_merged(self.node.annotations, annotations or {}),
        )
        return self.node

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        self._check()
        assert (namespace, name, holder) == ("k40s-system", f"scarmiglione-{NODE}", NODE)
        assert duration > 0
        self.beats += 1

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        self._check()
        assert not once
        assert component == "k40s-scarmiglione"
        assert warning == (reason != "SlotsApplied")
        self.events.append((about.uid, reason, message))

    def _check(self) -> None:
        if self.down:
            raise UnavailableError("connection refused")


class Nothing:
    """A source that no test's informer reads: tests tell the handlers themselves."""

    def list(self) -> Listing[object]:
        raise UnavailableError("not asked")

    def watch(self, _version: str) -> object:
        raise UnavailableError("not asked")


@dataclass
class World:
    """A process on a disk, a kernel and an API server, which survive it."""

    kernel: FakeKernel = field(default_factory=FakeKernel)
    store: FakeStore = field(default_factory=FakeStore)
    server: FakeApiServer = field(default_factory=FakeApiServer)
    networks: dict[str, NetworkState] = field(default_factory=dict)
    pods: dict[str, PodRecord] = field(default_factory=dict)
    back_end: type[FakeBackEnd] = FakeBackEnd
    make: MakeBackEnd | None = None
    """Instead of ``back_end`` on ``kernel``."""
    settings: Settings = SETTINGS
    xenomai: bool = False
    seconds: float = 100.0
    wall_ahead: float = 0.0

    def __post_init__(self) -> None:
        self.store.steps = self.kernel.steps
        if not self.networks:
            self.declare(network())
        self.start()

    def start(self) -> None:
        """A new process, which has listed nothing yet."""
        self.daemon = Daemon(
            self.settings,
            gateway=self.server,
            networks=Nothing(),  # type: ignore[arg-type]  # never read
            pods=Nothing(),  # type: ignore[arg-type]  # never read
            store=self.store,
            make_back_end=self.make or self._make,
            xenomai=self.xenomai,
            clock=lambda: round(self.seconds * NS_PER_S),
            wall=lambda: round((self.seconds + self.wall_ahead) * NS_PER_S),
            now=lambda: NOW,
        )

    def restart(self) -> None:
        """Another process on the same disk and kernel, which lists and reconciles."""
        self.start()
        self.open()

    def open(self) -> "World":
        self.daemon.network_informer.synchronized.set()
        self.daemon.pod_informer.synchronized.set()
        self.show()
        self.tick()
        return self

    def show(self) -> None:
        """The watch shows everything as it is."""
        self.daemon.networks.replace(list(self.networks.values()))
        self.daemon.pods.replace(list(self.pods.values()))

    def tick(self, seconds: float = 1.0) -> None:
        """A look at everything, some time later."""
        self.seconds += seconds
        self.kernel.read_at = round(self.seconds * NS_PER_S)
        self.daemon.look()

    def declare(self, declared: Network, *reservations: NetworkReservation) -> None:
        """The API server has this Network."""
        self.networks[declared.name] = NetworkState(
            network=declared, reservations=reservations, resource_version=str(len(reservations))
        )

    def reserve(self, number: int, *windows: Window, node: str = NODE) -> None:
        """The extender writes a reservation into the status."""
        state = self.networks[NET]
        kept = [one for one in state.reservations if one.owner.uid != uid(number)]
        self._put(state, (*kept, reservation(number, *windows, node=node)))

    def unreserve(self, number: int) -> None:
        state = self.networks[NET]
        self._put(state, tuple(o for o in state.reservations if o.owner.uid != uid(number)))

    def bind(self, number: int, **fields: object) -> None:
        """The pod is bound to this node, and the watch shows it."""
        self.pods[uid(number)] = pod(number, **fields)  # type: ignore[arg-type]  # of pod()
        self.show()

    def end(self, number: int) -> None:
        """The pod is deleted, and the watch shows it."""
        self.pods.pop(uid(number), None)
        self.daemon.pods.delete(uid(number))

    def ask(self, number: int, *windows: Window, attempt: str = "a") -> SlotsAnswer:
        answer, _ = self.daemon.requests.apply(ask(number, *windows), attempt)
        return answer

    def give(self, number: int, *windows: Window) -> SlotsAnswer:
        """Reserved in the status, then asked for."""
        self.reserve(number, *windows)
        self.show()
        return self.ask(number, *windows)

    @property
    def numbers(self) -> list[int]:
        """The slots that the kernel holds."""
        return sorted(self.kernel.of(INTERFACE))

    def events_of(self, about: str) -> list[str]:
        self.daemon.events.send()
        return [reason for name, reason, _ in self.server.events if name == about]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.daemon.registry.get_sample_value(f"k40s_scarmiglione_{name}", labels)

    def _put(self, state: NetworkState, held: tuple[NetworkReservation, ...]) -> None:
        version = str(int(state.resource_version) + 1)
        self.networks[state.network.name] = replace(
            state, reservations=held, resource_version=version
        )

    def _make(self, *, interface: str, cycle: Cycle) -> FakeBackEnd:
        return self.back_end(self.kernel, interface, cycle)


def _merged(present: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {k: v for k, v in {**present, **changes}.items() if v is not None}
