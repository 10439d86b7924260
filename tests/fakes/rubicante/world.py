"""Everything around rubicante's parts, in memory, and short ways to name pods and demands."""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from daemons.rubicante.api.reservations import Reservations
from daemons.rubicante.api.upkeep import Upkeep
from daemons.rubicante.book.book import Book, FindExchange
from daemons.rubicante.cluster.pods import NodePods
from daemons.rubicante.enforcement.enforcer import Enforcer
from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import BackEnd
from daemons.rubicante.mechanisms.back_ends import BackEnds
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupBackEnd
from daemons.rubicante.metrics import BookMetrics, EnforcementMetrics, ExchangeMetrics
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY, task_json
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, Mechanism, Reservation
from k40s.cpu.outcome import Admit
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.node_agent.backoff import Backoff
from k40s.node_api.allocation import format_allocation
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.rubicante.api_server import NODE, FakeApiServer, FakeStore
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel

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


def says(
    number: int, *tasks: TaskContract, held: Iterable[Reservation], criticality: str = "LOW"
) -> dict[str, str]:
    """The annotations of a pod with these tasks, bound with what it holds."""
    return {
        CRITICALITY_KEY: criticality,
        TASKS_KEY: json.dumps([task_json(one) for one in tasks or (task(),)]),
        ALLOCATION_KEY: format_allocation(tuple(r for r in held if r.pod_uid == uid(number))),
    }


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
    find_exchange: FindExchange | None = None
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
            find_exchange=self.find_exchange,
        )
        self.groups = BudgetGroups(system=self.system, root=CPU, prefix=PREFIX, wait=self._wait)
        threads = Threads(system=self.system, proc=PROC)
        tree = PodTree(system=self.system, cpu_root=CPU, cgroup_root=self.cgroup_root)
        origins = Origins(threads=threads, tree=tree, cores=self.system.cores)
        back_end = GroupBackEnd(
            groups=self.groups, threads=threads, origins=origins, attributes=self.attributes
        )
        self.kernel = BackEnds(
            by_mechanism={Mechanism.RT_CGROUP: back_end, **self.back_ends},
            threads=threads,
            tree=tree,
            origins=origins,
        )
        self.pods = NodePods(book=self.book, changed=self._wake)
        self.enforcement = EnforcementMetrics(self.registry)
        self.exchange_metrics = ExchangeMetrics(self.registry)
        self.enforcer = Enforcer(
            book=self.book,
            back_ends=self.kernel,
            statuses=self.pods,
            metrics=self.enforcement,
            exchange_metrics=self.exchange_metrics,
            clock=lambda: self.seconds,
        )
        self.metrics = BookMetrics(self.registry)
        self.reservations = Reservations(
            node=NODE,
            book=self.book,
            pods=self.server,
            enforcer=self.enforcer,
            changed=self._wake,
            metrics=self.metrics,
            exchange_metrics=self.exchange_metrics,
            why_not_enforceable=lambda: "" if self.enforceable else "no cgroup v1",
        )
        described, synchronized = threading.Event(), threading.Event()
        self.upkeep = Upkeep(
            node=NODE,
            book=self.book,
            pods=self.pods,
            source=self.server,
            reservations=self.reservations,
            enforcer=self.enforcer,
            described=described,
            synchronized=synchronized,
            backoff=Backoff(pause=Nanoseconds(0), clock=lambda: round(self.seconds * NS_PER_S)),
            metrics=self.enforcement,
            clock=lambda: self.seconds,
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
            find_exchange=self.find_exchange,
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
        sidecars: tuple[str, ...] = (),
        init_containers: tuple[str, ...] = (),
        ephemeral_containers: tuple[str, ...] = (),
    ) -> None:
        """A pod that exists, unbound, is given what it asks for."""
        names = containers or tuple({t.container: 0 for t in tasks}) or ("main",)
        record = replace(
            pod(number, containers=names),
            sidecars=sidecars,
            init_containers=init_containers,
            ephemeral_containers=ephemeral_containers,
        )
        self.server.add(record)
        answer, _ = self.reservations.reserve(ask(number, *tasks, criticality=criticality))
        assert answer.schedulable, answer

    def container(self, number: int = 1, *, id_: int = 1, qos: str = "burstable") -> Path:
        """The cgroup of a container appears."""
        root = CPU / "k8s" / "kubepods" / qos / f"pod{uid(number)}" / container_id(id_)
        return self.system.make_groups(root)

    def look(self) -> float:
        self.enforcer.note_events()
        return self.enforcer.look()

    def report_status(self, number: int = 1, *, id_: int = 1) -> None:
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
