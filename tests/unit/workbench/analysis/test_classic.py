"""Published task sets; a unit of the literature is a millisecond here."""

import pytest
import yaml

from workbench.analysis.classic import Analysis, ClassicReport, UnsuitableTestError
from workbench.analysis.schedulability import analyze_task_set
from workbench.inputs.bare_task_set import BareTaskSet
from workbench.inputs.task_set_file import read_task_set_file
from workbench.reports.classic import format_report, report_json

Figures = tuple[int, ...]


def task_set(*tasks: Figures, **fields: object) -> BareTaskSet:
    """Tasks as (C, T) or (C, T, D); servers as (Q, P)."""
    written = [
        {"name": f"t{index}", "wcet": f"{c}ms", "period": f"{t}ms"}
        | ({"deadline": f"{rest[0]}ms"} if rest else {})
        for index, (c, t, *rest) in enumerate(tasks, 1)
    ]
    problem = read_task_set_file(yaml.safe_dump({"tasks": written, **fields}), source="set.yaml")
    assert isinstance(problem, BareTaskSet)
    return problem


def server(budget: int, period: int) -> dict[str, str]:
    return {"budget": f"{budget}ms", "period": f"{period}ms"}


def responses(report: ClassicReport) -> list[int | None]:
    return [r.response if r.response is None else r.response // 1_000_000 for r in report.tasks]


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (((3, 7), (3, 12), (5, 20)), [3, 6, 20]),
        (((5, 20), (10, 40), (40, 80)), [5, 15, 80]),
        (((40, 100), (40, 150), (100, 350)), [40, 80, 300]),
        (((1, 4), (2, 6), (3, 10)), [1, 3, 10]),
    ],
)
def test_textbook_sets_under_fixed_priorities(
    tasks: tuple[Figures, ...], expected: list[int]
) -> None:
    report = analyze_task_set(task_set(*tasks))

    assert (report.test, report.strength) == (Analysis.FIXED_PRIORITY, "exact")
    assert report.schedulable
    assert responses(report) == expected


def test_equal_priorities_interfere_both_ways() -> None:
    written = [
        {"name": name, "wcet": "3ms", "period": "10ms", "priority": 1} for name in ("a", "b")
    ]
    problem = read_task_set_file(yaml.safe_dump({"tasks": written}), source="set.yaml")
    assert isinstance(problem, BareTaskSet)

    assert responses(analyze_task_set(problem)) == [6, 6]


def test_jitter_and_blocking_count_under_fixed_priorities() -> None:
    written = [
        {"name": "a", "wcet": "2ms", "period": "10ms", "jitter": "1ms"},
        {"name": "b", "wcet": "3ms", "period": "20ms", "blocking": "4ms"},
    ]
    problem = read_task_set_file(yaml.safe_dump({"tasks": written}), source="set.yaml")
    assert isinstance(problem, BareTaskSet)

    report = analyze_task_set(problem)

    assert responses(report) == [3, 9]
    assert report.strength == "sufficient"


@pytest.mark.parametrize(
    ("tasks", "schedulable"),
    [
        (((2, 6, 4), (2, 8, 5), (3, 9, 7)), True),
        (((2, 6, 5), (2, 8, 4), (3, 12, 10)), True),
        (((3, 4), (1, 4)), True),
        (((3, 4), (1, 4), (1, 100)), False),
    ],
)
def test_textbook_sets_under_edf(tasks: tuple[Figures, ...], *, schedulable: bool) -> None:
    report = analyze_task_set(task_set(*tasks, scheduling="edf"))

    assert (report.test, report.schedulable) == (Analysis.EDF, schedulable)


def test_an_edf_refusal_names_the_shortest_interval_with_too_much_demand() -> None:
    report = analyze_task_set(task_set((3, 10, 4), (3, 10, 5)), Analysis.EDF)

    assert report.detail == "jobs that arrive and are due within 5ms can need 6ms"


def test_an_edf_refusal_for_utilization_says_so() -> None:
    report = analyze_task_set(task_set((3, 4), (2, 5)), Analysis.EDF)

    assert report.detail == "the utilization, 1.150, is above 1"


def test_tasks_below_one_deferrable_server() -> None:
    report = analyze_task_set(
        task_set((2, 8), (3, 10), server=server(2, 6)), Analysis.DEFERRABLE_SERVER
    )

    assert responses(report) == [6, None]
    assert report.detail == "the deadline may be missed by t2"
    facts = dict(report.facts)
    assert facts["bound of Strosnider, Lehoczky & Sha 1995"] == pytest.approx(0.366, abs=0.0005)
    assert str(facts["hyperbolic bound"]).startswith("does not pass")
    assert "Sha 1995: 0.366\n" in format_report(report)


def test_the_hyperbolic_bound_accepts_a_light_set() -> None:
    light = task_set((15, 100), (15, 100), server=server(10, 30))

    report = analyze_task_set(light, Analysis.DEFERRABLE_SERVER)

    assert report.schedulable
    assert dict(report.facts)["hyperbolic bound"] == "passes"


@pytest.mark.parametrize(
    ("task", "above", "expected"),
    [
        ((3, 40), (), 10),
        ((4, 40), (), 18),
        ((7, 60), (), 28),
        ((3, 40), ((2, 10),), 14),
        ((4, 40), ((2, 10),), 22),
    ],
)
def test_a_task_inside_a_server(task: Figures, above: tuple[Figures, ...], expected: int) -> None:
    given = task_set(task, server=server(3, 10), above=[server(*s) for s in above])

    report = analyze_task_set(given)

    assert report.test is Analysis.HIERARCHICAL
    assert responses(report) == [expected]


@pytest.mark.parametrize(("tick", "expected"), [("0ms", 120), ("1ms", 122), ("4ms", 128)])
def test_the_tick_term_inside_a_server(tick: str, expected: int) -> None:
    given = task_set((10, 200), server=server(30, 100), above=[server(20, 100)], tick=tick)

    assert responses(analyze_task_set(given)) == [expected]


def test_a_server_that_lacks_its_budget_serves_nobody() -> None:
    given = task_set((3, 40), server=server(3, 10), above=[server(2, 10)], tick="4ms")

    report = analyze_task_set(given)

    assert not report.schedulable
    assert responses(report) == [None]
    assert "may not have its budget 4ms before its period ends" in report.detail


def test_the_periodic_resource_example_of_shin_and_lee() -> None:
    tight = {"budget": "2.79ms", "period": "10ms"}
    short = {"budget": "2.78ms", "period": "10ms"}
    tasks = ((7, 50), (9, 75))

    assert analyze_task_set(task_set(*tasks, server=tight, scheduling="edf")).schedulable
    assert not analyze_task_set(task_set(*tasks, server=short, scheduling="edf")).schedulable
    assert analyze_task_set(
        task_set(*tasks, server={"budget": "3.5ms", "period": "10ms"}), Analysis.PERIODIC_RESOURCE
    ).schedulable
    assert not analyze_task_set(
        task_set(*tasks, server={"budget": "3.49ms", "period": "10ms"}), Analysis.PERIODIC_RESOURCE
    ).schedulable


def test_mixed_criticality_is_told_as_information() -> None:
    written = [
        {"name": "a", "wcet": "2ms", "period": "10ms", "criticality": "HI", "wcet_hi": "4ms"},
        {"name": "b", "wcet": "3ms", "period": "15ms", "criticality": "LOW"},
        {"name": "c", "wcet": "4ms", "period": "30ms", "criticality": "HI", "wcet_hi": "8ms"},
    ]
    problem = read_task_set_file(yaml.safe_dump({"tasks": written}), source="set.yaml")
    assert isinstance(problem, BareTaskSet)

    report = analyze_task_set(problem)

    figures = {told.name: (told.schedulable, told.figures) for told in report.information}
    assert figures["SMC"] == (True, "a 4ms; b 5ms; c 26ms")
    assert figures["AMC-rtb"] == (
        True,
        "a 2ms, in HI mode 4ms; b 5ms; c 9ms, in HI mode 19ms",
    )
    assert figures["EDF-VD"] == (True, "deadlines of HI tasks times 1 in LOW mode")
    assert "For information, no ground to admit:\n  SMC (" in format_report(report)


def test_information_may_be_a_no() -> None:
    written = [
        {
            "name": "a",
            "wcet": "6ms",
            "period": "10ms",
            "deadline": "9ms",
            "criticality": "HI",
            "wcet_hi": "9ms",
        },
        {"name": "b", "wcet": "5ms", "period": "10ms", "criticality": "LOW"},
    ]
    problem = read_task_set_file(yaml.safe_dump({"tasks": written}), source="set.yaml")
    assert isinstance(problem, BareTaskSet)

    told = analyze_task_set(problem).information

    assert [each.schedulable for each in told] == [False, False, False]
    assert told[0].figures == "no order of priorities passes"
    assert told[2].figures == "it speaks of deadlines equal to periods only"


@pytest.mark.parametrize(
    ("given", "test", "error"),
    [
        (task_set((1, 9), server=server(1, 3)), Analysis.FIXED_PRIORITY, "the test fp knows no se"),
        (task_set((1, 9), server=server(1, 3)), Analysis.EDF, "the test edf knows no server"),
        (task_set((1, 9)), Analysis.PERIODIC_RESOURCE, "the test prm needs a field server"),
        (task_set((1, 9)), Analysis.HIERARCHICAL, "the test hierarchical needs a field server"),
        (
            task_set((1, 9), server=server(1, 3), above=[server(1, 9)]),
            Analysis.PERIODIC_RESOURCE,
            "the test prm knows no servers above",
        ),
        (
            task_set((1, 9), server=server(1, 3), scheduling="edf"),
            Analysis.HIERARCHICAL,
            "hierarchical orders tasks by fixed priorities, and the file says",
        ),
    ],
)
def test_a_test_says_what_it_does_not_judge(given: BareTaskSet, test: Analysis, error: str) -> None:
    with pytest.raises(UnsuitableTestError, match=error):
        analyze_task_set(given, test)


@pytest.mark.parametrize("field", ["jitter", "blocking"])
def test_jitter_and_blocking_are_refused_where_no_formula_has_them(field: str) -> None:
    written = [{"name": "a", "wcet": "1ms", "period": "9ms", field: "1ms"}]
    text = yaml.safe_dump({"tasks": written, "server": server(1, 3)})
    problem = read_task_set_file(text, source="set.yaml")
    assert isinstance(problem, BareTaskSet)

    with pytest.raises(UnsuitableTestError, match="as a has"):
        analyze_task_set(problem, Analysis.DEFERRABLE_SERVER)


def test_a_report_names_its_source_and_what_a_no_means() -> None:
    exact = format_report(analyze_task_set(task_set((3, 4), (2, 5))))
    sufficient = format_report(analyze_task_set(task_set((3, 10), server=server(2, 10))))

    assert exact == (
        "test fp: fixed priorities on one core\n"
        "Joseph & Pandya 1986; Audsley et al. 1993; exact\n"
        "\n"
        "task  priority  wcet  period  deadline  response  of deadline\n"
        "t1    2         3ms   4ms     4ms       3ms       75.0 %\n"
        "t2    1         2ms   5ms     5ms       -         -\n"
        "\n"
        "utilization: 1.150\n"
        "\n"
        "not schedulable: the deadline may be missed by t2"
    )
    assert "not shown to be schedulable: " in sufficient


def test_json_has_stable_fields() -> None:
    assert report_json(analyze_task_set(task_set((3, 7)))) == {
        "v": 1,
        "kind": "task-set",
        "test": "fp",
        "model": "fixed priorities on one core",
        "source": "Joseph & Pandya 1986; Audsley et al. 1993",
        "strength": "exact",
        "schedulable": True,
        "detail": "",
        "tasks": [
            {
                "name": "t1",
                "priority": 1,
                "wcet": "3ms",
                "period": "7ms",
                "deadline": "7ms",
                "response": "3ms",
                "holds": True,
            }
        ],
        "facts": {"utilization": "3/7"},
        "information": [],
    }
