from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest

from k40s.annotations import (
    HARDWARE_ASSURANCE_KEY,
    NodeAssurance,
    format_node_assurance,
    parse_assurance_part,
    parse_node_assurance,
    parse_platform_factor,
)
from k40s.assurance.gamma import Severity
from k40s.errors import InvalidAnnotationError
from k40s.units import NS_PER_S, Nanoseconds

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def assurance(
    hardware: int = 4,
    software: int = 3,
    state: int = 10,
    observed: datetime = NOON,
    lease: int = 30 * NS_PER_S,
    hazards: tuple[str, ...] = (),
    cause: Severity = Severity.NONE,
    falls: int = 0,
) -> NodeAssurance:
    return NodeAssurance(
        hardware=hardware,
        software=software,
        state=state,
        observed=observed,
        lease=Nanoseconds(lease),
        hazards=hazards,
        cause=cause,
        falls=falls,
    )


def test_writes_why_the_state_fell_and_how_often() -> None:
    fallen = assurance(state=3, hazards=("cpu-system",), cause=Severity.HARMED, falls=2)

    assert format_node_assurance(fallen).endswith(
        '"hazards":["cpu-system"],"cause":"harmed","falls":2}'
    )


def test_reads_what_earlier_versions_wrote() -> None:
    old = (
        '{"v":1,"level":12,"hardware":4,"software":3,"state":5,'
        '"observed":"2026-03-01T12:00:00Z","lease":"30s","hazards":["cpu-system"]}'
    )

    assert parse_node_assurance(old) == assurance(state=5, hazards=("cpu-system",))


def test_writes_the_level_its_parts_the_time_and_the_lease() -> None:
    assert format_node_assurance(assurance(hazards=("cpu-system",), state=5)) == (
        '{"v":1,"level":12,"hardware":4,"software":3,"state":5,'
        '"observed":"2026-03-01T12:00:00Z","lease":"30s","hazards":["cpu-system"]}'
    )


@pytest.mark.parametrize(
    "value",
    [
        assurance(),
        assurance(observed=NOON.replace(microsecond=123456)),
        assurance(lease=NS_PER_S),
        assurance(hazards=("cpu-system", "run-queue")),
        assurance(state=0, cause=Severity.MISSED, falls=1_000_000),
        assurance(falls=1),
    ],
)
def test_what_is_written_reads_back(value: NodeAssurance) -> None:
    assert parse_node_assurance(format_node_assurance(value)) == value


@pytest.mark.parametrize(
    "changes",
    [
        {"hardware": 6},
        {"hardware": -1},
        {"software": 6},
        {"state": 11},
        {"state": -1},
        {"observed": datetime(2026, 3, 1)},  # noqa: DTZ001  # naive on purpose
        {"observed": NOON.astimezone(timezone(timedelta(hours=1)))},
        {"lease": 0},
        {"lease": 3601 * NS_PER_S},
        {"falls": -1},
        {"falls": 1_000_001},
    ],
)
def test_a_value_that_cannot_be_is_refused_at_birth(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"0 to 5|0 to 10|UTC|1 s to 3600 s|0 to 1000000"):
        assurance(**changes)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ('"v":1', '"v":2', "$.v", "a whole number from 1 to 1"),
        ('"level":17', '"level":16', "$.level", "the sum of the parts, 17"),
        ('"level":17', '"level":true', "$.level", "a whole number from 0 to 20"),
        ('"hardware":4', '"hardware":6', "$.hardware", "a whole number from 0 to 5"),
        ('"lease":"30s"', '"lease":30', "$.lease", "a duration with a unit"),
        ('"lease":"30s"', '"lease":"2h"', "$.lease", "a duration with a unit"),
        ('"lease":"30s"', '"lease":"10ms"', "$.lease", "1s to 3600s"),
        ("2026-03-01T12", "2026-02-30T12", "$.observed", "a time in UTC"),
        ("12:00:00Z", "12:00:00", "$.observed", "a time in UTC"),
        ('"v":1,', '"v":1,"x":1,', "$.x", "only v, level"),
        ("}", ',"hazards":["A B"]}', "$.hazards[0]", "a metric's name"),
        ("}", ',"cause":"none"}', "$.cause", '"alarm", "harmed" or "missed"'),
        ("}", ',"cause":2}', "$.cause", '"alarm", "harmed" or "missed"'),
        ("}", ',"falls":-1}', "$.falls", "a whole number from 0 to 1000000"),
        ("}", ',"falls":"2"}', "$.falls", "a whole number from 0 to 1000000"),
        ('"v":1,', "", "$.v", "this field"),
    ],
)
def test_each_mistake_has_its_one_clear_error(old: str, new: str, path: str, expected: str) -> None:
    text = format_node_assurance(assurance()).replace(old, new)

    with pytest.raises(InvalidAnnotationError) as caught:
        parse_node_assurance(text)

    assert caught.value.path == path
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("5", 5)])
def test_an_operators_figure_is_one_digit(text: str, value: int) -> None:
    assert parse_assurance_part(text, key=HARDWARE_ASSURANCE_KEY) == value


@pytest.mark.parametrize("text", ["6", "-1", "", "05", "1.5", "five", "٣", "12"])
def test_another_figure_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnnotationError, match="a whole number from 0 to 5"):
        parse_assurance_part(text, key=HARDWARE_ASSURANCE_KEY)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3/2", Fraction(3, 2)),
        ("1.5", Fraction(3, 2)),
        ("2", Fraction(2)),
        ("1000", Fraction(1000)),
    ],
)
def test_a_platform_factor_is_exact(text: str, value: Fraction) -> None:
    assert parse_platform_factor(text) == value


@pytest.mark.parametrize("text", ["0", "1001", "1/0", "-1", "1e3", "", "x", "1/2/3", " 1"])
def test_another_platform_factor_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnnotationError, match=r"platform-factor: found .*, expected"):
        parse_platform_factor(text)
