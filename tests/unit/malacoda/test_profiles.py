"""Which profile is in force, and what becomes of one that cannot be."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics, ProfileMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.profiles import Profiles
from k40s.assurance.detector import DEFAULT_RULES, Rule
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import BUILT_IN, Origin, Profile, ProfileRule, format_profile
from k40s.errors import UnavailableError
from k40s.runtime.settings import SettingsError
from tests.fakes.malacoda.culprit import FakeEvents
from tests.fakes.malacoda.world import FakeClock, FakeCounters

OFFERED = frozenset(Metric) - {Metric.CPU_PRESSURE}


def profile(name: str, *, raise_at: float = 0.4, metric: Metric = Metric.CPU_SYSTEM) -> Profile:
    rule = Rule(metric=metric, raise_at=raise_at, clear_at=0.2)
    return Profile(
        name=name,
        made=Origin(kernel="6.18.1", machine="x", by="x", at=datetime(2026, 1, 1, tzinfo=UTC)),
        entries=(ProfileRule(rule=rule),),
    )


class World:
    def __init__(self, path: Path | None) -> None:
        clock = FakeClock()
        self.api = FakeEvents()
        self.registry = CollectorRegistry()
        self.counters = FakeCounters(clock)
        self.monitor = Monitor(
            source=self.counters,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(self.registry),
            clock=clock,
        )
        self.profiles = Profiles(
            path=path,
            monitor=self.monitor,
            offered=OFFERED,
            kernel="6.18.44-cloud",
            node="edge-1",
            writer=self.api,
            metrics=ProfileMetrics(self.registry),
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those by which the next sample is judged."""
        self.monitor.tick()
        self.monitor.tick()
        return tuple(self.monitor.state.alarms)

    @property
    def current(self) -> str | None:
        return None if self.profiles.current is None else self.profiles.current.name

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_profile_{name}")


def write(directory: Path, *profiles: Profile) -> None:
    for one in profiles:
        (directory / f"{one.name}.json").write_text(format_profile(one), encoding="utf-8")


def test_without_a_path_the_built_in_profile_is_in_force() -> None:
    world = World(None)

    assert world.rules == DEFAULT_RULES
    assert world.profiles.trouble is None


def test_a_file_is_in_force_whatever_the_label(tmp_path: Path) -> None:
    write(tmp_path, profile("edge"))
    world = World(tmp_path / "edge.json")

    world.profiles.select("another")

    assert world.current == "edge"
    assert world.rules == profile("edge").rules


@pytest.mark.parametrize("text", [None, "{", '{"v": 1}', "\xff"])
def test_a_file_that_is_no_profile_ends_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "edge.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")

    with pytest.raises(SettingsError, match=r"K40S_PROFILE_PATH: .*edge\.json"):
        World(path)


def test_a_rule_on_a_metric_that_the_kernel_lacks_ends_the_start_with_its_name(
    tmp_path: Path,
) -> None:
    write(tmp_path, profile("edge", metric=Metric.CPU_PRESSURE))

    with pytest.raises(SettingsError) as caught:
        World(tmp_path / "edge.json")

    said = str(caught.value)
    assert f"{tmp_path}/edge.json at $.rules[0].metric: found 'cpu-pressure'" in said
    assert "expected a metric that this kernel has: context-switches, cpu-iowait" in said


def test_in_a_directory_the_nodes_label_chooses(tmp_path: Path) -> None:
    write(tmp_path, profile("edge"), profile("cloud", raise_at=0.7), profile("default"))
    world = World(tmp_path)
    assert world.current is None
    assert world.profiles.trouble == "the Node's label has not been read yet"
    assert world.rules == ()

    chosen = []
    for label in ("edge", "cloud", None, "built-in"):
        world.profiles.select(label)
        chosen.append(world.current)

    assert chosen == ["edge", "cloud", "default", "built-in"]


def test_without_a_label_and_a_default_it_is_the_built_in_profile(tmp_path: Path) -> None:
    world = World(tmp_path)

    world.profiles.select(None)

    assert world.profiles.current == BUILT_IN


@pytest.mark.parametrize("label", ["edge", "../edge", "", "Edge"])
def test_a_label_that_names_no_profile_leaves_the_node_without_rules(
    tmp_path: Path, label: str
) -> None:
    world = World(tmp_path)

    world.profiles.select(label)

    assert world.current is None
    assert world.profiles.trouble is not None
    assert world.rules == ()
    assert world.metric("refused") == 1
    ((about, reason, text),) = world.api.written
    assert (about.kind, about.name, reason) == ("Node", "edge-1", "ProfileRefused")
    assert text.endswith("; nothing is judged")


def test_a_profile_that_breaks_leaves_the_last_one_in_force_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, profile("edge"))
    world = World(tmp_path)
    world.profiles.select("edge")

    (tmp_path / "edge.json").write_text(format_profile(profile("edge")).replace("0.4", "40"))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            world.profiles.select("edge")

    assert world.rules == profile("edge").rules
    assert world.profiles.trouble is None
    ((_, _, text),) = world.api.written
    assert "edge.json at $.rules[0].raise: found 40" in text
    assert text.endswith("; profile edge stays in force")
    assert [record.message for record in caplog.records] == ["profile refused"]
    assert (world.metric("refused"), world.metric("refusals_total")) == (1, 1)


def test_a_profile_that_is_mended_is_put_in_force_and_may_be_refused_again(
    tmp_path: Path,
) -> None:
    write(tmp_path, profile("edge"))
    world = World(tmp_path)
    world.profiles.select("edge")
    world.profiles.select("other")

    write(tmp_path, profile("other", raise_at=0.3))
    world.profiles.select("other")
    assert (world.current, world.metric("refused")) == ("other", 0)
    (tmp_path / "other.json").unlink()
    world.profiles.select("other")

    assert world.current == "other"
    assert len(world.api.written) == 2


def test_a_directory_that_is_gone_leaves_the_last_one_in_force(tmp_path: Path) -> None:
    directory = tmp_path / "profiles"
    directory.mkdir()
    write(directory, profile("default"))
    world = World(directory)
    world.profiles.select(None)

    (directory / "default.json").unlink()
    directory.rmdir()
    world.profiles.select(None)

    assert world.current == "default"
    assert world.metric("refused") == 1


def test_a_profile_under_another_name_than_its_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edge.json").write_text(format_profile(profile("cloud")))
    world = World(tmp_path)

    world.profiles.select("edge")

    assert "$.name: found 'cloud', expected the file's: edge" in str(world.profiles.trouble)


def test_an_event_that_was_not_written_is_tried_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.api.failure = UnavailableError("no answer")
    world.profiles.select("edge")

    world.api.failure = None
    world.profiles.select("edge")
    world.profiles.select("edge")

    assert len(world.api.written) == 1


def test_a_profile_made_for_another_kernel_is_in_force_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = profile("edge")
    other = replace(own, name="old", made=replace(own.made, kernel="5.10.0"))
    write(tmp_path, own, other)
    world = World(tmp_path)

    with caplog.at_level(logging.WARNING):
        world.profiles.select("edge")
        assert caplog.records == []
        world.profiles.select("old")

    assert [record.message for record in caplog.records] == ["profile made for another kernel"]
    assert world.current == "old"


def test_rules_whose_metric_disappears_are_reported_once_on_the_node() -> None:
    world = World(None)
    for _ in range(10):
        world.monitor.tick()
    world.profiles.look_for_missing()
    assert world.api.written == []

    world.counters.faults["stat"] = 1
    for _ in range(5):
        world.monitor.tick()
        world.profiles.look_for_missing()

    ((about, reason, text),) = world.api.written
    assert (about.kind, reason) == ("Node", "MetricMissing")
    assert text == (
        "no counters for cpu-system, kernel-queue, kernel-stretch, run-queue: "
        "rules on them judge nothing"
    )
