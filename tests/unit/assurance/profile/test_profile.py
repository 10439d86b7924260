import json
from datetime import UTC, datetime
from typing import Any

import pytest

from k40s.assurance.change_point import Cusum
from k40s.assurance.detector import DEFAULT_RULES, Rule, Victim
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import (
    BUILT_IN,
    Evidence,
    Origin,
    Profile,
    ProfileRule,
    format_profile,
    parse_profile,
)
from k40s.errors import InvalidInputError
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

SOURCE = "/etc/k40s/profiles/edge.json"
MADE = {
    "kernel": "6.18.44",
    "machine": "2 CPUs",
    "by": "k40s calibrate assurance",
    "at": "2026-11-29T08:00:00Z",
}
RULE: dict[str, Any] = {
    "metric": "cpu-system",
    "raise": 0.5,
    "clear": 0.3,
    "votes": 6,
    "window": 8,
    "hold": "5s",
    "harms": ["real-time"],
}
WHOLE: dict[str, Any] = {"v": 1, "name": "edge", "made": MADE, "rules": [RULE]}


def refusal(**changes: object) -> str:
    """The error for a rule with these fields."""
    with pytest.raises(InvalidInputError) as caught:
        parse_profile(json.dumps(WHOLE | {"rules": [RULE | changes]}), source=SOURCE)
    return str(caught.value)


def refusal_of(**changes: object) -> str:
    """The error for a profile with these fields."""
    with pytest.raises(InvalidInputError) as caught:
        parse_profile(json.dumps(WHOLE | changes), source=SOURCE)
    return str(caught.value)


def test_reads_a_rule_with_only_its_required_fields() -> None:
    profile = parse_profile(json.dumps(WHOLE), source=SOURCE)

    assert profile == Profile(
        name="edge",
        made=Origin(
            kernel="6.18.44",
            machine="2 CPUs",
            by="k40s calibrate assurance",
            at=datetime(2026, 11, 29, 8, tzinfo=UTC),
        ),
        entries=(
            ProfileRule(
                rule=Rule(
                    metric=Metric.CPU_SYSTEM,
                    raise_at=0.5,
                    clear_at=0.3,
                    votes=6,
                    window=8,
                    hold=Nanoseconds(5 * NS_PER_S),
                    harms=frozenset({Victim.REAL_TIME}),
                )
            ),
        ),
    )


def test_reads_what_is_optional() -> None:
    rule = RULE | {
        "trend": 0.15,
        "change": {"reference": 0.45, "decision": 0.3},
        "note": "kernel code, γ",
        "evidence": {"precision": 0.97, "recall": 1, "windows": 60},
    }

    profile = parse_profile(json.dumps(WHOLE | {"period": "250ms", "rules": [rule]}), source="x")

    assert profile.period == 250 * NS_PER_MS
    assert profile.entries[0].note == "kernel code, γ"
    assert profile.entries[0].evidence == Evidence(precision=0.97, recall=1.0, windows=60)
    assert profile.rules[0].trend == 0.15
    assert profile.rules[0].change == Cusum(reference=0.45, decision=0.3)


def test_the_built_in_profile_has_the_default_rules_and_reads_as_it_is_written() -> None:
    assert BUILT_IN.rules == DEFAULT_RULES
    assert parse_profile(format_profile(BUILT_IN), source="built-in") == BUILT_IN


def test_one_metric_may_have_a_rule_for_each_victim() -> None:
    other = RULE | {"harms": ["ordinary"], "raise": 0.4}

    profile = parse_profile(json.dumps(WHOLE | {"rules": [RULE, other]}), source=SOURCE)

    assert [rule.raise_at for rule in profile.rules] == [0.5, 0.4]


def test_two_rules_for_a_metric_and_a_victim_are_refused() -> None:
    other = RULE | {"harms": ["ordinary", "real-time"]}

    assert refusal_of(rules=[RULE, other]) == (
        f"{SOURCE} at $.rules[1]: found a second rule for them, "
        "expected one rule for each metric and victim"
    )


def test_a_percentage_for_a_share_is_refused_with_what_would_be_right() -> None:
    assert refusal(**{"raise": 50}) == (
        f"{SOURCE} at $.rules[0].raise: found 50, "
        "expected a share of time above 0 and at most 1 (50 % is 0.5)"
    )


def test_a_share_for_a_number_of_tasks_is_refused() -> None:
    assert refusal(metric="run-queue") == (
        f"{SOURCE} at $.rules[0].raise: found 0.5, expected a number of runnable tasks from 1 "
        "to 10000"
    )


def test_an_unknown_metric_is_refused_with_those_that_are_known() -> None:
    said = refusal(metric="cpu-sys")

    assert said.startswith(f"{SOURCE} at $.rules[0].metric: found 'cpu-sys', expected ")
    assert all(f'"{metric}"' in said for metric in Metric)


@pytest.mark.parametrize(
    ("field", "value", "path", "expected"),
    [
        ("raise", "0.5", "raise", "a share of time"),
        ("raise", True, "raise", "a share of time"),
        ("raise", 0, "raise", "a share of time"),
        ("clear", 0.6, "clear", "at most the raising value, 0.5"),
        ("trend", 0, "trend", "a rise per second above 0, or no such field"),
        ("trend", "1", "trend", "a rise per second above 0, or no such field"),
        ("votes", 0, "votes", "a whole number from 1 to 120"),
        ("votes", 3, "window", "at least votes (3) and less than twice as many (6)"),
        ("window", 5, "window", "at least votes (6) and less than twice as many (12)"),
        ("hold", 5, "hold", "a duration with a unit"),
        ("hold", "2h", "hold", "a duration with a unit"),
        ("hold", "3601s", "hold", "at most 3600s"),
        ("harms", [], "harms", "an array of 1 to 2 items"),
        ("harms", ["fifo"], "harms[0]", '"real-time" or "ordinary"'),
        ("harms", ["ordinary", "ordinary"], "harms", "each victim once"),
        ("change", {"reference": 0.2, "decision": 1}, "change.reference", "clearing value, 0.3"),
        ("change", {"reference": 45, "decision": 1}, "change.reference", "a share of time"),
        ("change", {"reference": 0.4, "decision": 0}, "change.decision", "a number above 0"),
        ("change", {"reference": 0.4}, "change.decision", "this field"),
        ("note", "two\nlines", "note", "at most 400 characters in one line"),
        ("evidence", {"precision": 97, "recall": 1, "windows": 1}, "evidence.precision", "share"),
        ("evidence", {"precision": 1, "recall": "1", "windows": 1}, "evidence.recall", "share"),
        ("evidence", {"precision": 1, "recall": 1, "windows": 0}, "evidence.windows", "whole"),
        ("threshold", 1, "threshold", "only metric, raise, clear"),
    ],
)
def test_a_field_of_a_rule_is_refused_by_its_path(
    field: str, value: object, path: str, expected: str
) -> None:
    said = refusal(**{field: value})

    assert said.startswith(f"{SOURCE} at $.rules[0].{path}: found ")
    assert expected in said.partition("expected ")[2]


@pytest.mark.parametrize(
    ("field", "value", "path", "expected"),
    [
        ("v", 2, "v", "a whole number from 1 to 1"),
        ("name", "Edge", "name", "a name of lower-case letters"),
        ("rules", [], "rules", "an array of 1 to 32 items"),
        ("period", "50ms", "period", "100ms to 2s"),
        ("period", "3s", "period", "100ms to 2s"),
        ("made", MADE | {"at": "2026-13-01T00:00:00Z"}, "made.at", "a time in UTC"),
        ("made", MADE | {"at": "yesterday"}, "made.at", "a time in UTC"),
        ("made", MADE | {"kernel": ""}, "made.kernel", "printable ASCII"),
        ("sources", [], "sources", "only v, name, made, rules, period"),
    ],
)
def test_a_field_of_a_profile_is_refused_by_its_path(
    field: str, value: object, path: str, expected: str
) -> None:
    said = refusal_of(**{field: value})

    assert said.startswith(f"{SOURCE} at $.{path}: found ")
    assert expected in said.partition("expected ")[2]


def test_what_is_no_json_is_refused_with_its_line() -> None:
    text = '{"v": 1,\n "name": "edge"\n "rules": []}'

    with pytest.raises(InvalidInputError, match="line 3 column 2"):
        parse_profile(text, source=SOURCE)


def test_a_number_beyond_every_double_is_refused() -> None:
    text = json.dumps(WHOLE).replace("0.5", "1e999")

    with pytest.raises(InvalidInputError, match=r"raise: found inf, expected a share"):
        parse_profile(text, source=SOURCE)


def test_a_profile_without_rules_or_with_two_for_the_same_is_no_value() -> None:
    with pytest.raises(ValueError, match="at least one rule"):
        Profile(name="x", made=BUILT_IN.made, entries=())
    with pytest.raises(ValueError, match="one rule for each"):
        Profile(name="x", made=BUILT_IN.made, entries=(BUILT_IN.entries[0], BUILT_IN.entries[0]))


def test_a_time_of_another_zone_or_of_less_than_a_second_is_no_origin() -> None:
    with pytest.raises(ValueError, match="in UTC, in whole seconds"):
        Origin(kernel="x", machine="x", by="x", at=datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC))
