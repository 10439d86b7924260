"""Who is named in a scene, and how it is reported: events, log, metrics."""

import logging
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Counter

from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import NodePods
from daemons.malacoda.culprit.search import CulpritSearch
from k40s.assurance.detector import DEFAULT_RULES, Victim
from k40s.assurance.suspects.verdict import AttributionPolicy, Verdict
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents, FakeUsage, FakeWatch, pod_record
from tests.fakes.malacoda.world import FakeClock
from tests.fakes.usage_scene import STRESS, Load, Scene, background, during

NOISY = "idle-a"
BEGIN, ALARM = 35.0, 38.0


class World:
    """A node on which stress begins in ``noisy`` after 35 s; its alarm is raised 3 s later."""

    def __init__(self, noisy: str | None = NOISY, *, critical: str | None = "HI") -> None:
        self.clock = FakeClock()
        self.scene = Scene(seed=1)
        stress = STRESS["open"]
        if noisy is None:
            self.scene.host = during(BEGIN, 1e9, stress.load, Load(used=0.03, kernel=0.6))
        else:
            self.scene.pods[noisy].timeline = during(BEGIN, 1e9, stress.load)
        self.usage = FakeUsage(self.scene)
        self.watch = FakeWatch()
        self.pods = NodePods(namespaces=("k40s-system",))
        names = background()
        self.pods.replace(
            [pod_record(name, critical if name == "critical" else None) for name in names]
        )
        self.api = FakeEvents()
        self.registry = CollectorRegistry()
        faults = Counter("k40s_malacoda_source_faults", "", ["source"], registry=self.registry)
        metrics = CulpritMetrics(self.registry, EventReason, faults=faults)
        backoff = Backoff(pause=Nanoseconds(5 * NS_PER_S), clock=self.clock)
        self.events = CulpritEvents(
            writer=self.api, metrics=metrics, backoff=backoff, clock=self.clock
        )
        self.search = CulpritSearch(
            node="edge-1",
            watch=self.watch,
            pods=self.pods,
            source=self.usage,
            events=self.events,
            metrics=metrics,
            clock=self.clock,
            policy=AttributionPolicy(),
        )
        self.second = 0.0
        self.period = 0.5

    def until(self, second: float, *, alarm: bool | None = None) -> None:
        while self.second < second:
            self.second += self.period
            self.clock.pass_seconds(self.period)
            active = self.second >= ALARM if alarm is None else alarm
            self.watch.set(high=active or self.second > BEGIN, alarm=active)
            self.search.tick()
            self.events.send()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)

    def suspects(self) -> dict[str, float]:
        counts = {one.value: self.metric("suspects_total", verdict=one.value) for one in Verdict}
        return {name: count for name, count in counts.items() if count}

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [(about.kind, about.name, reason) for about, reason, _ in self.api.written]


def test_the_noisy_pod_is_named_within_a_second_on_node_and_pod_with_the_evidence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    with caplog.at_level(logging.INFO):
        world.until(ALARM + 1)

    assert world.told == [("Node", "edge-1", "SuspectNamed"), ("Pod", NOISY, "SuspectNamed")]
    text = world.api.written[0][2]
    own = world.api.written[1][2]
    assert own.split("; next")[0] == text.split("; next")[0]
    assert "next: 0.0" in own
    assert own.count("default/") == 1
    assert text.count("default/") > 1
    assert text.startswith("pod default/idle-a is suspected of the hazard cpu-system 0.61; in the")
    for part in ("in the last 2.0 s it caused", "system time 0.9", "CPU use", "runnable threads"):
        assert part in text
    for part in ("next: ", "threatened: HI", "rule: 0.5 of the rise", "nothing is done to it"):
        assert part in text
    assert len(text) < 1024
    assert world.suspects() == {"named": 1}
    assert world.metric("suspect") == 1
    (record,) = [one for one in caplog.records if one.message == "suspect named"]
    assert record.__dict__["suspect"] == "default/idle-a"
    assert record.__dict__["shares"][0]["role"] == "suspect"


def test_pods_are_sampled_twice_a_second_however_often_the_node_is() -> None:
    world = World()
    world.period = 0.1
    world.until(20)
    assert len(world.usage.reads) == pytest.approx(40, abs=1)

    world.until(BEGIN)
    world.watch.set(high=True)
    world.clock.pass_seconds(0.1)
    world.search.tick()
    world.watch.set()
    for _ in range(4):
        world.clock.pass_seconds(0.1)
        world.search.tick()

    assert world.search.state.onset is not None


def test_an_alarm_is_looked_into_at_once() -> None:
    world = World()
    world.until(ALARM - 0.5)
    reads = len(world.usage.reads)
    world.clock.pass_seconds(0.1)
    world.watch.set(high=True, alarm=True)

    world.search.tick()

    assert world.usage.reads[reads:] == [True]


def test_it_is_said_once_while_the_alarm_lasts_and_counted_again_in_the_next() -> None:
    world = World()
    world.until(ALARM + 20)
    assert len(world.told) == 2

    world.scene.pods[NOISY].timeline = lambda _: Load()
    world.until(ALARM + 30, alarm=False)
    assert world.metric("suspect") == 0
    world.scene.pods[NOISY].timeline = lambda _: STRESS["open"].load
    world.until(ALARM + 40, alarm=True)

    assert world.suspects() == {"named": 2}
    assert len(world.told) == 2


def test_threads_are_counted_only_while_an_alarm_is_active() -> None:
    world = World()
    world.until(ALARM)

    assert world.usage.reads.count(True) == 1
    assert world.usage.reads[-1]


def test_nobody_is_suspected_of_what_the_hypervisor_takes() -> None:
    world = World()
    world.until(BEGIN)
    for _ in range(20):
        world.clock.pass_seconds(0.5)
        world.watch.set()
        world.watch.add_steal()
        world.search.tick()
        world.events.send()

    assert world.told == []
    assert not any(world.usage.reads)


def test_steal_is_no_part_of_the_hazard_of_which_a_pod_is_suspected() -> None:
    world = World()
    world.until(ALARM - 0.5)
    while not world.told:
        world.clock.pass_seconds(0.5)
        world.watch.set(high=True, alarm=True)
        world.watch.add_steal()
        world.search.tick()
        world.events.send()

    assert "suspected of the hazard cpu-system 0.61;" in world.api.written[0][2]


def test_pods_are_sampled_no_more_often_than_the_baseline_needs_but_at_once_on_an_alarm() -> None:
    world = World()

    def reads_in_a_second(*, alarm: bool) -> int:
        world.watch.set(high=alarm, alarm=alarm)
        before = len(world.usage.reads)
        for _ in range(10):
            world.clock.pass_seconds(0.1)
            world.search.tick()
        return len(world.usage.reads) - before

    assert reads_in_a_second(alarm=False) == 2
    world.watch.set(high=True, alarm=True)
    world.search.tick()
    assert world.usage.reads[-1]
    assert reads_in_a_second(alarm=True) == 2


def test_nobody_is_sought_for_an_alarm_that_harms_none_of_the_nodes_critical_pods() -> None:
    world = World()
    world.watch.rule = replace(DEFAULT_RULES[0], harms=frozenset({Victim.REAL_TIME}))
    assert world.pods.view.victims == {Victim.ORDINARY}

    world.until(ALARM + 10)

    assert world.told == []
    assert not any(world.usage.reads)


def test_a_host_process_is_no_suspect_and_that_is_said_once_on_the_node() -> None:
    world = World(None)
    world.until(ALARM + 2.5)
    assert world.told == []

    world.until(ALARM + 20)

    assert world.told == [("Node", "edge-1", "NoSuspectNamed")]
    text = world.api.written[0][2]
    assert "no pod is suspected of the hazard cpu-system 0.61: host processes" in text
    assert "shares of the rise in the last 2.0 s: outside the pods" in text
    assert world.suspects() == {"outside": 1}
    assert world.metric("suspect") == 0


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"criticality": "HI"}, "protected"),
        ({"priority_class": "system-cluster-critical"}, "protected"),
        ({"namespace": "kube-system"}, "protected"),
    ],
)
def test_nobody_of_equal_criticality_and_of_the_system_is_named(
    change: dict[str, str], verdict: str
) -> None:
    world = World()
    world.pods.upsert(pod_record(NOISY, **change))

    world.until(ALARM + 10)

    assert world.suspects() == {verdict: 1}
    assert world.told == [("Node", "edge-1", "NoSuspectNamed")]


def test_a_pod_that_the_cluster_does_not_know_is_not_named() -> None:
    world = World()
    world.pods.delete(NOISY)

    world.until(ALARM + 10)

    assert world.suspects() == {"protected": 1}
    assert f"unknown pod {NOISY}" in world.api.written[0][2]


def test_without_quiet_time_before_nobody_is_named() -> None:
    world = World()
    world.until(5, alarm=True)

    assert world.suspects() == {"no-baseline": 1}
    assert "too little quiet time" in world.api.written[0][2]


@pytest.mark.parametrize("critical", [None, "NO"])
def test_a_node_that_has_nobody_to_protect_is_not_sampled(critical: str | None) -> None:
    world = World(critical=critical)
    world.until(ALARM + 5)

    assert world.usage.reads == []
    assert world.metric("usage_seconds_count") == 0
    assert world.told == []


def test_sampling_ends_with_the_last_pod_to_protect_and_begins_without_a_baseline() -> None:
    world = World()
    world.until(ALARM + 1)
    world.pods.delete("critical")
    world.until(ALARM + 5)
    assert world.usage.closed == 1
    assert world.metric("suspect") == 0
    number = len(world.usage.reads)

    world.pods.upsert(pod_record("critical", "LOW"))
    world.until(ALARM + 10)

    assert len(world.usage.reads) == number + 10
    assert world.suspects() == {"named": 1, "no-baseline": 1}


def test_missing_sources_are_counted() -> None:
    world = World()
    world.usage.faults["pods"] = 2
    world.until(1)
    world.usage.faults["pods"] = 3
    world.until(2)

    assert world.metric("source_faults_total", source="pods") == 3
