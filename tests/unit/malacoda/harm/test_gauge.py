"""What the gauge of harm tells of the pods on a node, and what it does not."""

import logging
from collections.abc import Collection

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.harm.gauge import HarmGauge
from daemons.malacoda.harm.metrics import HarmMetrics
from daemons.malacoda.metrics import MonitorMetrics
from k40s.assurance.response.harm import Gauge, HarmPolicy
from k40s.assurance.suspects.usage import PodIdentity
from k40s.criticality import Criticality
from tests.fakes.malacoda.culprit import FakeUsage
from tests.fakes.malacoda.world import FakeClock
from tests.fakes.usage_scene import Scene

QUIET, OPEN = 1_278, 11_068


class FakeThreads:
    """Implements ``RealTimeThreads``."""

    def __init__(self) -> None:
        self.missed = 0
        self.real_time = frozenset({"a", "b"})
        self.asked: list[tuple[str, ...]] = []

    def find(self, uids: Collection[str]) -> frozenset[str]:
        self.asked.append(tuple(sorted(uids)))
        return self.real_time.intersection(uids)


class FakeMisses:
    """Implements ``Misses``."""

    def __init__(self) -> None:
        self.missed = 0
        self.counts: dict[str, int] = {}

    def read(self) -> dict[str, int]:
        return dict(self.counts)


class FakeView:
    """Implements ``Pods``."""

    def __init__(self) -> None:
        self.view = PodView()

    def set(self, *real_time: str, ordinary: tuple[str, ...] = ()) -> None:
        uids = (*real_time, *ordinary)
        self.view = PodView(
            identities={
                uid: PodIdentity(name=f"default/{uid}", criticality=Criticality.HI) for uid in uids
            },
            threatened=Criticality.HI if uids else Criticality.NO,
            critical=frozenset(uids),
            real_time=frozenset(real_time),
        )


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.pods = FakeView()
        self.usage = FakeUsage(Scene(seed=1))
        self.threads = FakeThreads()
        self.misses = FakeMisses()
        self.late: dict[str, bool] = {}
        self.registry = CollectorRegistry()
        faults = MonitorMetrics(self.registry).faults
        self.gauge = HarmGauge(
            pods=self.pods,
            pressure=self.usage,
            threads=self.threads,
            misses=self.misses,
            reports=self,
            metrics=HarmMetrics(self.registry, faults=faults),
            clock=self.clock,
            policy=HarmPolicy(),
        )

    def run(self, samples: int, *, calm: bool = True, **rates: int) -> bool | None:
        for _ in range(samples):
            self.clock.pass_seconds(0.5)
            for uid, rate in rates.items():
                self.usage.pressure[uid] = self.usage.pressure.get(uid, 0) + rate // 2
            self.gauge.tick(calm=calm)
        return self.gauge.state.harmed

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)


@pytest.fixture
def world() -> World:
    return World()


def test_a_critical_pod_that_waits_in_an_alarm_is_harmed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.pods.set("a")
    assert world.run(30, a=QUIET) is False

    with caplog.at_level(logging.INFO):
        assert world.run(4, calm=False, a=OPEN) is True
        assert world.metric("harmed", gauge="pressure") == 1
        assert world.run(2, calm=False, a=QUIET) is False

    harmed, over = caplog.records
    assert (harmed.message, over.message) == (
        "critical pods harmed",
        "critical pods not harmed any more",
    )
    assert vars(harmed)["evidence"] == [
        {"pod": "a", "name": "default/a", "gauge": "pressure", "value": OPEN}
    ]
    assert world.metric("harmed", gauge="pressure") == 0
    assert world.metric("gauged_pods") == 1


def test_what_was_sampled_long_ago_tells_nothing(world: World) -> None:
    assert world.gauge.known.harmed is None
    world.pods.set("a")
    world.run(30, a=QUIET)
    assert world.gauge.known.harmed is False

    world.clock.pass_seconds(5)

    assert world.gauge.state.harmed is False
    assert world.gauge.known.harmed is None


def test_on_a_node_without_files_of_pressure_nothing_is_known(world: World) -> None:
    world.pods.set("a")

    assert world.run(60) is None
    assert world.gauge.state.pods["a"].pressure is None
    assert world.metric("gauged_pods") == 0


def test_a_pod_with_ordinary_threads_has_no_gauge(world: World) -> None:
    world.threads.real_time = frozenset()
    world.pods.set("a")

    assert world.run(60, a=QUIET) is None


def test_neither_has_one_without_real_time_tasks_and_it_keeps_the_others_from_all_clear(
    world: World,
) -> None:
    world.pods.set("a", ordinary=("b",))

    assert world.run(60, a=QUIET, b=QUIET) is None
    assert world.run(4, calm=False, a=OPEN, b=QUIET) is True
    assert [harm.uid for harm in world.gauge.state.evidence] == ["a"]
    assert world.threads.asked[0] == ("a",)


def test_threads_are_looked_at_every_ten_seconds(world: World) -> None:
    world.pods.set("a")

    world.run(60, a=QUIET)

    assert len(world.threads.asked) == 3


def test_a_look_that_is_given_up_is_a_fault_of_its_source(world: World) -> None:
    world.pods.set("a")
    world.threads.missed, world.misses.missed = 2, 1

    world.run(3)

    assert world.metric("source_faults_total", source="pod-threads") == 2
    assert world.metric("source_faults_total", source="overruns") == 1


def test_an_overrun_of_a_critical_pod_is_harm_and_another_pods_is_none(world: World) -> None:
    world.pods.set("a")
    world.misses.counts = {"a": 4, "other": 0}
    world.run(30, a=QUIET)

    world.misses.counts = {"a": 4, "other": 9}
    assert world.run(1, calm=False, a=QUIET) is False
    world.misses.counts = {"a": 6, "other": 9}
    assert world.run(1, calm=False, a=QUIET) is True

    assert world.gauge.state.shows(Gauge.MISSES)
    assert world.metric("harmed", gauge="misses") == 1


def test_without_critical_pods_it_costs_nothing_and_forgets(world: World) -> None:
    world.run(10)
    assert world.threads.asked == []

    world.pods.set("a")
    world.run(30, a=QUIET)
    world.run(4, calm=False, a=OPEN)
    world.pods.set()
    assert world.run(1) is None

    assert world.gauge.state.baselines == {}
    assert world.metric("harmed", gauge="pressure") == 0
    assert not world.gauge.state.shows(Gauge.PRESSURE)


def test_a_pods_own_report_is_harm_at_once_and_its_end_is_not_harmed(world: World) -> None:
    world.pods.set("a")
    world.late["a"] = False
    assert world.run(4) is False

    world.late["a"] = True
    assert world.run(1) is True
    assert world.metric("harmed", gauge="report") == 1

    world.late["a"] = False
    assert world.run(4) is False


def test_it_reads_no_more_often_than_twice_a_second(world: World) -> None:
    world.pods.set("a")
    reads = 0
    for number in range(20):
        world.clock.pass_seconds(0.1)
        world.usage.pressure["a"] = 200 * number
        before = world.gauge.state
        world.gauge.tick(calm=True)
        reads += world.gauge.state is not before

    assert reads == 4


def test_a_hazard_between_two_reads_is_no_calm(world: World) -> None:
    """Else the pressure of a hazard would become the pod's own baseline."""
    world.pods.set("a")
    for _ in range(200):
        for calm in (True, False, True, True, True):
            world.clock.pass_seconds(0.1)
            world.usage.pressure["a"] = world.usage.pressure.get("a", 0) + QUIET // 10
            world.gauge.tick(calm=calm)

    assert world.gauge.state.baselines == {}
    assert world.gauge.state.harmed is None
