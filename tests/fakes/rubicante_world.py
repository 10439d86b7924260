"""Everything around rubicante's parts, in memory, and short ways to name pods and demands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from daemons.rubicante.book import Admit, Book
from daemons.rubicante.enforcer import Enforcer
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.mechanism import BackEnd
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.rt_groups import RtCgroups
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.metrics import BookMetrics, EnforcementMetrics
from daemons.rubicante.placement import Kernel
from daemons.rubicante.pods import NodePods
from daemons.rubicante.reservations import Reservations
from k40s.cpu.admission import admit
from k40s.cpu.model import CpuNode, Mechanism
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality
from k40s.node_api import PodRef, ReservationRequest
from k40s.runtime.records import PodRecord
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.rubicante_api_server import NODE, FakeApiServer, FakeStore
from tests.fakes.rubicante_kernel import CPU, PROC, FakeKernel

PREFIX = "rt-test"


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def container_id(number: int) -> str:
    return f"{number:064x}"


def task(
    name: str = "ctl", *, container: str = "main", wcet_ms: int = 5, period_ms: int = 100
) -> TaskContract:
    return TaskContract(
        name=name,
        container=container,
        period=Nanoseconds(period_ms * NS_PER_MS),
        deadline=Nanoseconds(period_ms * NS_PER_MS),
        wcet=WcetTable(by_platform=MappingProxyType({"xeon": Nanoseconds(wcet_ms * NS_PER_MS)})),
    )


def ask(
    number: int = 1,
    *tasks: TaskContract,
    generation: int | None = None,
    criticality: Criticality = Criticality.LOW,
) -> ReservationRequest:
    return ReservationRequest(
        pod=PodRef(uid=uid(number), namespace="default", name=f"pod-{number}"),
        workload=Workload(criticality=criticality, tasks=tasks or (task(),)),
        generation=generation,
    )


def pod(
    number: int = 1,
    *,
    node: str = "",
    containers: tuple[str, ...] = ("main",),
    container_ids: Mapping[str, str] | None = None,
    phase: str = "Pending",
    annotations: Mapping[str, str] | None = None,
    deleting: bool = False,
) -> PodRecord:
    return PodRecord(
        uid=uid(number),
        namespace="default",
        name=f"pod-{number}",
        node=node,
        phase=phase,
        labels={},
        annotations=annotations or {},
        containers=containers,
        container_ids=container_ids or {},
        deleting=deleting,
        cpu_request_millis=0,
        scheduler="k40s-scheduler",
    )


def node(*, capacity: Fraction = Fraction(95, 100), platform: str = "xeon") -> CpuNode:
    return CpuNode(
        cores=(1,),
        tick=Nanoseconds(4 * NS_PER_MS),
        node_capacity=capacity,
        core_capacity=Fraction(9, 10),
        platform=platform,
        platform_factor=Fraction(1),
    )


@dataclass
class World:
    """The parts of one rubicante on a fake kernel, with a clock that only tests move."""

    seconds: float = 0.0
    system: FakeKernel = field(default_factory=FakeKernel)
    store: FakeStore = field(default_factory=FakeStore)
    server: FakeApiServer = field(default_factory=FakeApiServer)
    cgroup_root: str = "/k8s"
    admit: Admit = admit
    back_ends: Mapping[Mechanism, BackEnd] = field(default_factory=dict)
    attributes: Attributes | None = None
    base: CpuNode = field(default_factory=node)
    enforceable: bool = True
    opened: bool = True
    woken: int = 0

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.book = Book(
            store=self.store,
            node=self.base,
            admit=self.admit,
            lease=Nanoseconds(60 * NS_PER_S),
            clock=lambda: round(self.seconds * NS_PER_S),
        )
        self.groups = BudgetGroups(system=self.system, root=CPU, prefix=PREFIX, wait=self._wait)
        threads = Threads(system=self.system, proc=PROC)
        tree = PodTree(system=self.system, cpu_root=CPU, cgroup_root=self.cgroup_root)
        homes = Homes(threads=threads, tree=tree, cores=self.system.cores)
        back_end = RtCgroups(
            groups=self.groups, threads=threads, homes=homes, attributes=self.attributes
        )
        self.kernel = Kernel(
            back_ends={Mechanism.RT_CGROUP: back_end, **self.back_ends},
            threads=threads,
            tree=tree,
            homes=homes,
        )
        self.pods = NodePods(book=self.book, changed=self._wake)
        self.enforcement = EnforcementMetrics(self.registry)
        self.enforcer = Enforcer(
            book=self.book,
            kernel=self.kernel,
            statuses=self.pods,
            metrics=self.enforcement,
            clock=lambda: self.seconds,
        )
        self.metrics = BookMetrics(self.registry)
        self.reservations = Reservations(
            node=NODE,
            book=self.book,
            pods=self.server,
            claim=self.enforcer.claim,
            release=self.enforcer.release,
            changed=self._wake,
            metrics=self.metrics,
            enforceable=lambda: self.enforceable,
        )
        if self.opened:
            self.reservations.open()

    def restarted(self, *, opened: bool = True) -> "World":
        """A new process on the same disk, kernel and API server."""
        return World(
            seconds=self.seconds,
            system=self.system,
            store=self.store,
            server=self.server,
            admit=self.admit,
            back_ends=self.back_ends,
            base=self.base,
            opened=opened,
        )

    def reserve(
        self,
        number: int = 1,
        *tasks: TaskContract,
        containers: tuple[str, ...] = (),
        criticality: Criticality = Criticality.LOW,
    ) -> None:
        """A pod that exists, unbound, is given what it asks for."""
        names = containers or tuple({t.container: 0 for t in tasks}) or ("main",)
        self.server.add(pod(number, containers=names))
        answer, _ = self.reservations.reserve(ask(number, *tasks, criticality=criticality))
        assert answer.schedulable, answer

    def container(self, number: int = 1, *, id_: int = 1, qos: str = "burstable") -> Path:
        """The cgroup of a container appears."""
        root = CPU / "k8s" / "kubepods" / qos / f"pod{uid(number)}" / container_id(id_)
        return self.system.make_groups(root)

    def look(self) -> float:
        self.enforcer.hear()
        return self.enforcer.look()

    def tell_status(self, number: int = 1, *, id_: int = 1) -> None:
        """Kubelet has reported that the container runs."""
        self.pods.upsert(pod(number, node=NODE, container_ids={"main": container_id(id_)}))

    def look_when_started(self) -> float:
        """Look, and again when a program has had its time to name its threads."""
        self.look()
        self.seconds += 1.5
        return self.look()

    def group(self, number: int = 1, index: int = 0) -> Path:
        return CPU / f"{PREFIX}-{uid(number)}-{index}"

    def metric(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        return self.registry.get_sample_value(name, labels or {})

    def _wait(self, seconds: float) -> None:
        self.seconds += seconds

    def _wake(self) -> None:
        self.woken += 1
