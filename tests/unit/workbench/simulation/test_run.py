from pathlib import Path

import pytest

from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from workbench.inputs.task_set_file import read_task_set_file
from workbench.reports.simulation import format_report, report_json
from workbench.simulate import Run, simulate_task_set
from workbench.simulation.run import Observation
from workbench.simulation.scenario import Behaviour, UnsuitableScenarioError

EXAMPLES = Path("docs/examples/tasksets")
CELL = (EXAMPLES / "cell.yaml").read_text()
TWO = (EXAMPLES / "two-mechanisms.yaml").read_text()
SECOND = Nanoseconds(NS_PER_S)


def run(
    text: str,
    behaviour: Behaviour | None = None,
    *,
    duration: Nanoseconds = SECOND,
    tick: Nanoseconds | None = None,
) -> Run:
    problem = read_task_set_file(text, source="set.yaml")
    return simulate_task_set(
        problem,
        behaviour or Behaviour(),
        duration,
        tick=tick,
        progress=lambda _done, _of: None,
    )


def seen(found: Run) -> dict[str, Observation]:
    return {each.planned.task: each for each in found.report.observations}


def test_what_was_refused_does_not_run() -> None:
    found = run(CELL)

    assert found.refused == ["planner"]
    assert set(seen(found)) == {"servo", "plan", "frame"}


def test_an_admitted_set_holds_its_bounds_with_hogs() -> None:
    found = run(CELL, Behaviour(hogs=True, seed=3), duration=Nanoseconds(20 * NS_PER_S))

    assert found.report.held
    assert found.report.bounded
    assert seen(found)["servo"].jobs >= 199
    longest = seen(found)["servo"].longest
    assert longest is not None
    assert longest > 40 * NS_PER_MS


def test_a_rogue_is_not_judged_and_its_neighbours_stay_within_their_bounds() -> None:
    found = run(CELL, Behaviour(rogues=("arm/control",)), duration=Nanoseconds(5 * NS_PER_S))

    assert not seen(found)["servo"].planned.judged
    assert seen(found)["servo"].jobs == 0
    assert seen(found)["frame"].misses == 0
    assert seen(found)["frame"].within
    assert "not judged" in format_report(found.report)


def test_the_same_seed_gives_the_same_run() -> None:
    first, again, other = (run(CELL, Behaviour(seed=s, hogs=True)) for s in (1, 1, 2))

    assert report_json(first.report) == report_json(again.report)
    assert report_json(first.report) != report_json(other.report)


@pytest.mark.parametrize("domain", ["domain: partitioned", "domain: shared, cpus: 2"])
def test_threads_of_sched_deadline_run_above_servers(domain: str) -> None:
    found = run(TWO.replace("domain: partitioned", domain), Behaviour(hogs=True))

    assert found.report.held
    assert found.report.bounded
    assert seen(found)["current"].jobs >= 98
    assert seen(found)["frame"].jobs >= 4


def test_a_rogue_thread_leaves_its_neighbours_in_time() -> None:
    found = run(TWO, Behaviour(rogues=("drive/loop",)), duration=Nanoseconds(5 * NS_PER_S))

    assert found.report.held
    assert seen(found)["write"].jobs >= 9
    assert seen(found)["write"].within


def test_a_shared_domain_may_have_more_cpus_than_take_servers() -> None:
    text = TWO.replace("domain: partitioned", "domain: shared, cpus: 4")

    assert run(text).report.held


def test_a_shared_domain_with_fewer_cpus_than_cores_is_not_simulated() -> None:
    text = TWO.replace("domain: partitioned", "domain: shared, cpus: 1")

    with pytest.raises(UnsuitableScenarioError, match="1 CPUs below 2 cores"):
        run(text)


def test_coarser_ticks_than_those_analysed_can_make_jobs_late() -> None:
    late = [
        run(
            CELL.replace("tick: 4ms", "tick: 0ms"),
            Behaviour(seed=seed, hogs=True),
            duration=Nanoseconds(10 * NS_PER_S),
            tick=Nanoseconds(8 * NS_PER_MS),
        ).report
        for seed in range(4)
    ]

    assert not all(report.bounded for report in late)
    assert any("responses beyond the bound: " in format_report(report) for report in late)


BARE = """
tasks:
  - {name: a, wcet: 3ms, period: 7ms}
  - {name: b, wcet: 3ms, period: 12ms}
  - {name: c, wcet: 5ms, period: 20ms}
"""


def test_a_bare_set_reaches_its_bounds_when_all_arrive_together() -> None:
    found = run(BARE, Behaviour(together=True))

    assert [each.longest for each in found.report.observations] == [
        each.planned.bound for each in found.report.observations
    ]
    assert format_report(found.report).startswith("task  core  jobs  misses  longest response")


def test_a_bare_set_that_is_not_schedulable_is_seen_to_miss() -> None:
    found = run(BARE.replace("5ms", "6ms"), Behaviour(together=True))

    assert not found.report.held
    assert "deadlines missed" in format_report(found.report)
    assert report_json(found.report)["held"] is False


def test_a_bare_set_inside_a_server_is_simulated_below_hogs() -> None:
    text = (
        "tasks: [{name: t, wcet: 4ms, period: 40ms}]\n"
        "server: {budget: 3ms, period: 10ms}\n"
        "above: [{budget: 2ms, period: 10ms}]\n"
    )

    found = run(text, Behaviour(hogs=True, seed=5), duration=Nanoseconds(20 * NS_PER_S))

    assert found.report.held
    assert found.report.bounded
    (told,) = found.report.observations
    assert told.longest is not None
    assert told.longest > 10 * NS_PER_MS


TOO_MUCH = (
    "pods: [{name: p, criticality: LOW, containers: "
    "[{name: c, tasks: [{name: t, period: 10ms, wcet: 9.9ms}]}]}]"
)


@pytest.mark.parametrize(
    ("text", "behaviour", "error"),
    [
        (CELL, Behaviour(rogues=("arm",)), "no container arm was admitted; there are arm/control"),
        (BARE, Behaviour(rogues=("a",)), "a bare task set has no containers"),
        (BARE + "scheduling: edf\n", Behaviour(), "under fixed priorities only"),
        (BARE.replace("20ms}", "20ms, jitter: 1ms}"), Behaviour(), "are not simulated"),
        (
            TOO_MUCH,
            Behaviour(),
            "nothing was admitted",
        ),
    ],
)
def test_what_cannot_be_simulated_says_so(text: str, behaviour: Behaviour, error: str) -> None:
    with pytest.raises(UnsuitableScenarioError, match=error):
        run(text, behaviour)


def test_a_run_without_end_is_refused_with_its_size() -> None:
    with pytest.raises(UnsuitableScenarioError, match=r"about [0-9,]+ events, and at most"):
        run(CELL, duration=Nanoseconds(100_000 * NS_PER_S))


def test_json_has_stable_fields() -> None:
    found = report_json(run(BARE, Behaviour(together=True)).report)

    assert found["tasks"][0] == {  # type: ignore[index]
        "server": "",
        "name": "a",
        "core": "0",
        "judged": True,
        "jobs": 143,
        "misses": 0,
        "longest": "3ms",
        "bound": "3ms",
        "deadline": "7ms",
    }
    assert {key: value for key, value in found.items() if key != "tasks"} == {
        "v": 1,
        "kind": "simulation",
        "duration": "1s",
        "held": True,
        "bounded": True,
    }
