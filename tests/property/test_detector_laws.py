"""Level, slope and change point against what defines them; a profile's text loses nothing."""

from datetime import UTC, datetime
from itertools import combinations
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from k40s.assurance.change_point import LEAST_SAMPLES, Cusum, accumulate
from k40s.assurance.detector import Rule, Victim
from k40s.assurance.exposition import find_values
from k40s.assurance.metrics import Metric, Unit, unit_of
from k40s.assurance.profile import (
    LONGEST_PERIOD,
    SHORTEST_PERIOD,
    Evidence,
    Origin,
    Profile,
    ProfileRule,
    format_profile,
    parse_profile,
)
from k40s.assurance.trend import find_slope
from k40s.errors import InvalidInputError
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

SIXTEENTHS = st.integers(0, 1600).map(lambda count: count / 16)
"""Sums of these are exact."""


def has_changed(test: Cusum, values: list[float]) -> bool:
    """By definition (Page 1954): the largest sum over the last samples reaches the decision."""
    increments = [min(value - test.reference, test.decision / LEAST_SAMPLES) for value in values]
    ends = range(1, len(values) + 1)
    sums = [sum(increments[begin:end]) for end in ends for begin in range(end)]
    return max(sums) >= test.decision


@given(
    values=st.lists(SIXTEENTHS, min_size=1, max_size=25),
    reference=SIXTEENTHS.filter(bool),
    decision=SIXTEENTHS.filter(bool),
)
def test_the_running_sum_decides_as_the_largest_sum_over_the_last_samples(
    values: list[float], reference: float, decision: float
) -> None:
    test = Cusum(reference=reference, decision=decision)
    total, changed = 0.0, False
    for value in values:
        total = accumulate(total, test, value)
        changed = changed or total >= decision

    assert changed == has_changed(test, values)


POINTS = st.lists(st.tuples(st.integers(1, 5000), st.integers(-1000, 1000)), min_size=2, max_size=8)


def at_times(points: list[tuple[int, int]]) -> tuple[list[Nanoseconds], list[float]]:
    times, now = [], 0
    for gap, _ in points:
        now += gap * NS_PER_MS
        times.append(Nanoseconds(now))
    return times, [float(value) for _, value in points]


@given(points=POINTS)
def test_the_slope_is_the_median_of_all_pairs(points: list[tuple[int, int]]) -> None:
    times, values = at_times(points)

    pairs = [
        (later - earlier) * NS_PER_S / (end - begin)
        for (begin, earlier), (end, later) in combinations(zip(times, values, strict=True), 2)
    ]

    slope = find_slope(times, values)
    assert slope.estimate == pytest.approx(median(pairs))
    assert slope.low <= slope.estimate


@given(points=POINTS, rise=st.integers(-100, 100), offset=st.integers(-1000, 1000))
def test_a_line_that_is_added_adds_its_slope(
    points: list[tuple[int, int]], rise: int, offset: int
) -> None:
    times, values = at_times(points)
    tilted = [
        value + offset + rise * time / NS_PER_S for time, value in zip(times, values, strict=True)
    ]

    before, after = find_slope(times, values), find_slope(times, tilted)

    assert after.estimate == pytest.approx(before.estimate + rise, abs=1e-6)
    assert after.low == pytest.approx(before.low + rise, abs=1e-6)


@given(points=st.lists(st.integers(1, 5000), min_size=4, max_size=8), outlier=st.integers(-10, 10))
def test_among_steady_samples_a_single_outlier_is_no_sure_rise(
    points: list[int], outlier: int
) -> None:
    times, values = at_times([(gap, 5) for gap in points])
    values[-1] += outlier

    assert find_slope(times, values).low <= 0


LINES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)
NOTES = st.text(st.characters(exclude_categories=("C",), max_codepoint=0x2FFF), max_size=60)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001  # UTC below
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)


@st.composite
def profile_rules(draw: st.DrawFn) -> ProfileRule:
    metric = draw(st.sampled_from(Metric))
    least, most = {
        Unit.SHARE: (0.001, 1.0),
        Unit.TASKS: (1.0, 1e4),
        Unit.MILLISECONDS: (0.001, 1e4),
        Unit.PER_SECOND: (0.001, 1e9),
    }[unit_of(metric)]
    clear, middle, highest = sorted(draw(st.floats(least, most)) for _ in range(3))
    votes = draw(st.integers(1, 60))
    rule = Rule(
        metric=metric,
        raise_at=highest,
        clear_at=clear,
        trend=draw(st.none() | st.floats(1e-6, 1e6)),
        votes=votes,
        window=draw(st.integers(votes, 2 * votes - 1)),
        hold=Nanoseconds(draw(st.integers(1, 3600 * NS_PER_S))),
        change=draw(
            st.none() | st.builds(Cusum, reference=st.just(middle), decision=st.floats(1e-6, 1e9))
        ),
        harms=draw(st.frozensets(st.sampled_from(Victim), min_size=1)),
    )
    share = st.floats(0, 1)
    evidence = st.builds(Evidence, precision=share, recall=share, windows=st.integers(1, 10**6))
    return ProfileRule(rule=rule, note=draw(NOTES), evidence=draw(st.none() | evidence))


PROFILES = st.builds(
    Profile,
    name=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True),
    made=st.builds(Origin, kernel=LINES, machine=LINES, by=LINES, at=MOMENTS),
    entries=st.lists(
        profile_rules(), min_size=1, max_size=5, unique_by=lambda entry: entry.rule.metric
    ).map(tuple),
    period=st.none() | st.integers(SHORTEST_PERIOD, LONGEST_PERIOD).map(Nanoseconds),
)


@given(profile=PROFILES)
def test_a_profile_reads_as_it_was_written(profile: Profile) -> None:
    assert parse_profile(format_profile(profile), source="profile") == profile


@given(text=st.text(max_size=200))
def test_any_text_is_a_profile_or_an_error_that_names_its_source(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^/etc/x\.json"):
        parse_profile(text, source="/etc/x.json")


PARTS = st.sampled_from(
    [b"m", b"{", b"}", b'a="', b'"', b"\\", b",", b" ", b"\n", b"1", b".5", b"e3", b"NaN", b"\xff"]
)


@given(parts=st.lists(PARTS, max_size=40))
def test_any_page_has_values_or_is_an_error(parts: list[bytes]) -> None:
    try:
        found = find_values(b"".join(parts), "m", {"a": "1"})
    except ValueError:
        return
    assert all(isinstance(value, float) for value in found)


@given(
    series=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(max_size=8), max_size=3),
            st.floats(allow_nan=False),
        ),
        max_size=8,
    ),
    wanted=st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=2), max_size=2),
)
def test_prometheus_own_text_is_read_as_it_was_meant(
    series: list[tuple[dict[str, str], float]], wanted: dict[str, str]
) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("m", "text\nm 5", ["a", "b", "c"], registry=registry)
    meant: dict[tuple[str, ...], float] = {}
    for labels, value in series:
        names = [labels.get(name, "") for name in ("a", "b", "c")]
        gauge.labels(*names).set(value)
        meant[tuple(names)] = value

    found = find_values(generate_latest(registry), "m", wanted)

    chosen = [
        value
        for names, value in meant.items()
        if all(dict(zip("abc", names, strict=True))[key] == text for key, text in wanted.items())
    ]
    assert found == chosen
