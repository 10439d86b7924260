"""The world around malacoda: a Node at an API server, a source of counters, a clock."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from daemons.malacoda.sampling.sampler import Look
from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.records import NodeCondition, NodeRecord, PodRecord
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents, FakePods

NOTHING: Mapping[str, str | None] = {}


class FakeClock:
    """Time that passes on call."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        return self.time

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=self.time // 1000)

    def pass_seconds(self, seconds: float) -> None:
        self.time += round(seconds * NS_PER_S)


class FakeNode(FakeEvents):
    """The API server with one Node; ``writes`` and ``beats`` record the calls."""

    def __init__(self, annotations: Mapping[str, str] = {}, *pods: PodRecord) -> None:
        super().__init__()
        self.on_node = pods
        self.annotations: dict[str, str] = dict(annotations)
        self.labels: dict[str, str] = {}
        self.conditions: tuple[NodeCondition, ...] = ()
        self.writes: list[Mapping[str, str | None]] = []
        self.beats: list[tuple[str, str, str, int]] = []
        self.silent = False
        self.exists = True
        self.readable = True

    def get_node(self, name: str) -> NodeRecord | None:
        self._answer()
        if not self.exists:
            return None
        if not self.readable:
            raise UnreadableError("edge-1: metadata.annotations: found 5, expected an object")
        return NodeRecord(
            name=name,
            labels=dict(self.labels),
            annotations=dict(self.annotations),
            resource_version=str(len(self.writes)),
        )

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] = NOTHING,
        annotations: Mapping[str, str | None] = NOTHING,
        condition: NodeCondition | None = None,
    ) -> NodeRecord:
        self._answer()
        self.conditions += () if condition is None else (condition,)
        self.writes.append({**annotations, **labels})
        self.annotations |= {key: text for key, text in annotations.items() if text is not None}
        self.labels |= {key: text for key, text in labels.items() if text is not None}
        return NodeRecord(name=name, labels={}, annotations={}, resource_version="1")

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        self._answer()
        self.beats.append((namespace, name, holder, duration))

    def pods(self, *, node: str) -> FakePods:
        del node
        return FakePods(*self.on_node)

    def _answer(self) -> None:
        if self.silent:
            raise UnavailableError("no answer")


class FakeCounters:
    """A node of one CPU; ``system`` is the percentage of its time that goes into the kernel."""

    def __init__(self, clock: FakeClock) -> None:
        self.faults = {"stat": 0, "pressure/cpu": 0}
        self.system = 5
        self.seconds = 0.5
        self.lost = False
        self.quiet = False
        self.closely: list[bool] = []
        self._clock = clock
        self._spent = [0, 0]

    def look(self, *, closely: bool) -> Look:
        self.closely.append(closely)
        return Look() if self.quiet and not closely else Look(self.sample())

    def sample(self) -> Counters:
        self._clock.pass_seconds(self.seconds)
        self.faults["pressure/cpu"] += 1
        at = Nanoseconds(self._clock.time)
        if self.lost:
            return Counters(at=at)
        if self.faults["stat"]:
            self.faults["stat"] += 1
            return Counters(at=at)
        self._spent[0] += self.system
        self._spent[1] += 100 - self.system
        none = CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0)
        own = CpuTimes(user=0, system=self._spent[0], idle=self._spent[1], iowait=0, irq=0, steal=0)
        return Counters(
            at=at,
            stat=StatCounters(
                own=own,
                own_cpus=1,
                others=none,
                other_cpus=0,
                contexts=at // 100_000,
                forks=0,
                running=1,
            ),
        )
