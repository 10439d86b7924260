"""The world around malacoda: a Node at an API server, a source of counters, a clock."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.errors import UnavailableError
from k40s.runtime.records import NodeRecord
from k40s.units import NS_PER_S, Nanoseconds

NOTHING: Mapping[str, str | None] = {}


class FakeClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        return self.time

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=self.time // 1000)

    def pass_seconds(self, seconds: float) -> None:
        self.time += round(seconds * NS_PER_S)


class FakeNode:
    """The API server with one Node; ``writes`` and ``beats`` remember what was done to it."""

    def __init__(self, annotations: Mapping[str, str] = {}) -> None:
        self.annotations: dict[str, str] = dict(annotations)
        self.labels: dict[str, str] = {}
        self.writes: list[Mapping[str, str | None]] = []
        self.beats: list[tuple[str, str, str, int]] = []
        self.silent = False
        self.exists = True

    def get_node(self, name: str) -> NodeRecord | None:
        self._answer()
        if not self.exists:
            return None
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
    ) -> NodeRecord:
        self._answer()
        self.writes.append({**annotations, **labels})
        self.annotations |= {key: text for key, text in annotations.items() if text is not None}
        self.labels |= {key: text for key, text in labels.items() if text is not None}
        return NodeRecord(name=name, labels={}, annotations={}, resource_version="1")

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        self._answer()
        self.beats.append((namespace, name, holder, duration))

    def _answer(self) -> None:
        if self.silent:
            raise UnavailableError("no answer")


class FakeCounters:
    """A node of one CPU; ``system`` is the percentage of its time that goes into the kernel."""

    def __init__(self, clock: FakeClock) -> None:
        self.faults = {"stat": 0, "pressure/cpu": 0}
        self.system = 5
        self._clock = clock
        self._spent = [0, 0]

    def sample(self) -> Counters:
        self._clock.pass_seconds(0.5)
        self.faults["pressure/cpu"] += 1
        at = Nanoseconds(self._clock.time)
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
                contexts=0,
                forks=0,
                running=1,
            ),
        )
