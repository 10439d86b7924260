"""Figures beside a verdict are on the right side of what they are compared with."""

import json
from fractions import Fraction

import pytest
from click.testing import CliRunner

from cli.analyze import analyze
from workbench.table import as_limit, as_share, as_time

ONE = Fraction(1)
EXPLAINED = (
    "has it within -: others can hold up its whole budget for longer than its period;\n"
    "its tasks meet their deadlines all the same, by containment\n"
)
ABOVE = "tasks: [{name: a, wcet: 500ms, period: 1s}, {name: b, wcet: 500000001ns, period: 1s}]"


@pytest.mark.parametrize(
    ("value", "bounds", "text"),
    [
        (Fraction(1, 3), (), "0.333"),
        (ONE, (ONE,), "1.000"),
        (ONE + Fraction(1, 10**9), (ONE,), "1.000000001"),
        (ONE - Fraction(1, 10**6), (ONE,), "0.999999"),
        (ONE + Fraction(1, 10**15), (ONE,), "1000000000000001/1000000000000000"),
        (Fraction(2, 3), (Fraction(6667, 10000),), "0.66667"),
        (Fraction(6669, 10000), (Fraction(2, 3),), "0.667"),
        (Fraction(66666, 10**5), (Fraction(2, 3),), "0.66666"),
        (Fraction(-1, 3), (), "-0.333"),
        (Fraction(0), (ONE,), "0.000"),
    ],
)
def test_a_share_is_on_its_side_of_every_bound(
    value: Fraction, bounds: tuple[Fraction, ...], text: str
) -> None:
    assert as_share(value, *bounds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(9, 10), "0.900"), (Fraction(2, 3), "2/3"), (Fraction(1, 16), "0.0625")],
)
def test_a_limit_is_exact(value: Fraction, text: str) -> None:
    assert as_limit(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0ns"),
        (999, "999ns"),
        (1_500, "1.5us"),
        (999_999_999, "999.999999ms"),
        (2_399_872_760, "2.39987276s"),
        (74_998_000, "74.998ms"),
        (60_000_000_000, "60s"),
    ],
)
def test_a_time_has_the_unit_that_suits_it(value: int, text: str) -> None:
    assert as_time(value) == text


@pytest.mark.parametrize("test", ["fp", "edf"])
def test_a_utilization_just_above_one_is_shown_as_above(test: str) -> None:
    result = CliRunner().invoke(analyze, ["-", "--test", test], input=ABOVE)

    assert result.exit_code == 1
    assert "utilization: 1.000000001" in result.stdout


def test_the_reason_why_not_shows_it_too() -> None:
    result = CliRunner().invoke(analyze, ["-", "--test", "edf"], input=ABOVE)

    assert "the utilization, 1.000000001, is above 1" in result.stdout


def test_shares_in_json_are_exact() -> None:
    bare = "tasks: [{name: a, wcet: 1ms, period: 3ms}]\nserver: {budget: 2ms, period: 3ms}"

    result = CliRunner().invoke(analyze, ["-", "--json"], input=bare)

    facts = json.loads(result.stdout)["facts"]
    assert (facts["utilization"], facts["server Q/P"]) == ("1/3", "2/3")


def test_a_dash_for_the_time_of_the_whole_budget_is_explained() -> None:
    def pod(name: str, wcet: str, period: str) -> str:
        task = f"[{{name: t, period: {period}, wcet: {wcet}}}]"
        return f"{{name: {name}, criticality: LOW, containers: [{{name: c, tasks: {task}}}]}}"

    dashed = f"pods: [{pod('a', '4ms', '20ms')}, {pod('b', '2ms', '10ms')}]"
    plain = f"pods: [{pod('a', '4ms', '100ms')}]"

    assert EXPLAINED in CliRunner().invoke(analyze, ["-"], input=dashed).stdout
    assert "has it within -" not in CliRunner().invoke(analyze, ["-"], input=plain).stdout
