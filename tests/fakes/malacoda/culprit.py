"""What the search for a culprit needs: usage by pod, alarms, pods, and an API server for events."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from k40s.assurance.counters import StatCounters
from k40s.assurance.detector import DEFAULT_RULES, AlarmState, Rule
from k40s.assurance.metrics import Metric
from k40s.assurance.suspects.usage import UNKNOWN_POD, NodeUsage, PodIdentity, PodUsage
from k40s.assurance.watch import WatchState
from k40s.errors import K40sError
from k40s.kube.list_watch import Listing, WatchEvent
from k40s.kube.records import ObjectRef, PodRecord
from tests.fakes.usage_scene import Scene


class FakeUsage:
    """A scene's usage, with what the cluster knows of its pods: implements ``PodUsageSource``."""

    def __init__(self, scene: Scene) -> None:
        self.pressure: dict[str, int] = {}
        self.scene = scene
        self.faults = {"pods": 0}
        self.reads: list[bool] = []
        self.closed = 0

    def read(
        self,
        pods: Mapping[str, PodIdentity],
        *,
        stat: StatCounters | None,
        with_threads: bool = False,
    ) -> NodeUsage:
        del stat
        self.reads.append(with_threads)
        sample = self.scene.sample()
        found = {
            uid: _identified(usage, pods.get(uid, UNKNOWN_POD))
            for uid, usage in sample.pods.items()
        }
        return replace(sample, pods=found)

    def read_pressure(self, uids: Collection[str]) -> dict[str, int]:
        return {uid: self.pressure[uid] for uid in uids if uid in self.pressure}

    def close(self) -> None:
        self.closed += 1


def _identified(usage: PodUsage, identity: PodIdentity) -> PodUsage:
    return replace(
        usage,
        name=identity.name,
        criticality=identity.criticality,
        protected=identity.protected,
    )


class FakeWatch:
    """The first stage: the test sets the alarm, a hazard for those whom ``rule`` harms."""

    def __init__(self) -> None:
        self.state = WatchState()
        self.rule = DEFAULT_RULES[0]

    def set(self, *, high: bool = False, alarm: bool = False) -> None:
        self.state = WatchState(
            metrics={Metric.CPU_SYSTEM: 0.61 if high else 0.05},
            alarms={self.rule: AlarmState(active=alarm, high=(high,))},
        )

    def add_steal(self) -> None:
        """And an alarm on what the hypervisor takes."""
        rule = Rule(metric=Metric.CPU_STEAL, raise_at=0.2, clear_at=0.1)
        alarms = {**self.state.alarms, rule: AlarmState(active=True, high=(True,))}
        metrics = {**self.state.metrics, Metric.CPU_STEAL: 0.4}
        self.state = replace(self.state, alarms=alarms, metrics=metrics)


@dataclass
class FakeEvents:
    """Implements ``EventWriter``; ``failure`` is raised instead."""

    written: list[tuple[ObjectRef, str, str]] = field(default_factory=list)
    failure: K40sError | None = None

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
        assert (component, warning, once) == ("k40s-malacoda", True, "")
        if self.failure is not None:
            raise self.failure
        self.written.append((about, reason, message))


class FakePods:
    """A list of pods that does not change: implements ``WatchSource``."""

    def __init__(self, *records: PodRecord) -> None:
        self._records = records

    def list(self) -> Listing[PodRecord]:
        return Listing(records=self._records, resource_version="1")

    def watch(self, resource_version: str) -> Iterator[WatchEvent[PodRecord]]:
        del resource_version
        return iter(())


def pod_record(uid: str, criticality: str | None = None, **changes: object) -> PodRecord:
    annotations = {} if criticality is None else {"k40s.io/criticality": criticality}
    record = PodRecord(
        uid=uid,
        namespace="default",
        name=uid,
        node="edge-1",
        phase="Running",
        labels={},
        annotations=annotations,
        containers=("main",),
        container_ids={},
        deleting=False,
        cpu_request_millis=0,
        scheduler="default-scheduler",
    )
    return replace(record, **changes)  # type: ignore[arg-type]  # fields of a record
