"""A profile as JSON: read strictly, written for a reader."""

import json
import re
from datetime import UTC, datetime

from k40s.assurance.change_point import Cusum
from k40s.assurance.detector import Rule, Victim
from k40s.assurance.metrics import Metric, Unit, unit_of
from k40s.assurance.profile.values import (
    Evidence,
    Origin,
    Profile,
    ProfileRule,
    find_overlap,
)
from k40s.errors import InvalidInputError
from k40s.strict_json import Json, read_json
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds, format_duration

PROFILE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)
PROFILE_NAME_FORM = "a name of lower-case letters, digits, '-' and '.', at most 63"
SHORTEST_PERIOD = Nanoseconds(100 * NS_PER_MS)
LONGEST_PERIOD = Nanoseconds(2 * NS_PER_S)
LONGEST_HOLD = Nanoseconds(3600 * NS_PER_S)
MOST_RULES = 32
MOST_SAMPLES = 120
"""Of a window."""

_VERSION = 1
_TEXT = re.compile(r"[ -~]{1,200}", re.ASCII)
_NOTE = re.compile(r"[^\x00-\x1f\x7f]{0,400}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_MOST_WINDOWS = 1_000_000
_LOWEST = {Unit.SHARE: 0.0, Unit.TASKS: 1.0, Unit.MILLISECONDS: 0.0, Unit.PER_SECOND: 0.0}
_HIGHEST = {
    Unit.SHARE: 1.0,
    Unit.TASKS: 10_000.0,
    Unit.MILLISECONDS: 10_000.0,
    Unit.PER_SECOND: 1e9,
}
_FORMS = {
    Unit.SHARE: "a share of time above 0 and at most 1 (50 % is 0.5)",
    Unit.TASKS: "a number of runnable tasks from 1 to 10000",
    Unit.MILLISECONDS: "milliseconds above 0 and at most 10000",
    Unit.PER_SECOND: "a rate per second above 0 and at most 1000000000",
}


def parse_profile(text: str, *, source: str) -> Profile:
    """Read a profile. ``source`` is the file's name. Raises ``InvalidInputError``."""
    field = read_json(text, source=source, error=InvalidInputError).fields(
        ("v", "name", "made", "rules"), ("period",)
    )
    field["v"].integer(_VERSION, _VERSION)
    items = field["rules"].items(at_least=1, at_most=MOST_RULES)
    entries = tuple(_read_rule(item) for item in items)
    twice = find_overlap(entry.rule for entry in entries)
    if twice is not None:
        raise items[twice].invalid(
            "one rule for each metric and victim", found="a second rule for them"
        )
    return Profile(
        name=field["name"].text(PROFILE_NAME, PROFILE_NAME_FORM),
        made=_read_origin(field["made"]),
        entries=entries,
        period=_read_period(field["period"]) if "period" in field else None,
    )


def format_profile(profile: Profile) -> str:
    """Write a profile, indented; ``parse_profile`` gives back the same value."""
    made = profile.made
    written: dict[str, object] = {
        "v": _VERSION,
        "name": profile.name,
        "made": {
            "kernel": made.kernel,
            "machine": made.machine,
            "by": made.by,
            "at": made.at.replace(tzinfo=None).isoformat() + "Z",
        },
    }
    if profile.period is not None:
        written["period"] = format_duration(profile.period)
    written["rules"] = [_rule_json(entry) for entry in profile.entries]
    return json.dumps(written, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _read_origin(place: Json) -> Origin:
    field = place.fields(("kernel", "machine", "by", "at"))
    expected = 'a time in UTC, such as "2026-03-01T12:00:00Z"'
    text = field["at"].text(_TIME, expected)
    try:
        at = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise field["at"].invalid(expected) from None
    line = "1 to 200 printable ASCII characters"
    return Origin(
        kernel=field["kernel"].text(_TEXT, line),
        machine=field["machine"].text(_TEXT, line),
        by=field["by"].text(_TEXT, line),
        at=at,
    )


def _read_period(place: Json) -> Nanoseconds:
    period = place.duration()
    if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
        raise place.invalid(
            f"{format_duration(SHORTEST_PERIOD)} to {format_duration(LONGEST_PERIOD)}"
        )
    return period


def _read_rule(place: Json) -> ProfileRule:
    field = place.fields(
        ("metric", "raise", "clear", "votes", "window", "hold", "harms"),
        ("trend", "change", "note", "evidence"),
    )
    metric = field["metric"].member_of(Metric)
    unit = unit_of(metric)
    raise_at = _read_threshold(field["raise"], unit)
    clear_at = _read_threshold(field["clear"], unit)
    if clear_at > raise_at:
        raise field["clear"].invalid(f"at most the raising value, {raise_at:g}")
    votes = field["votes"].integer(1, MOST_SAMPLES)
    window = field["window"].integer(1, MOST_SAMPLES)
    if not votes <= window < 2 * votes:
        raise field["window"].invalid(
            f"at least votes ({votes}) and less than twice as many ({2 * votes})"
        )
    hold = field["hold"].duration()
    if hold > LONGEST_HOLD:
        raise field["hold"].invalid(f"at most {format_duration(LONGEST_HOLD)}")
    rule = Rule(
        metric=metric,
        raise_at=raise_at,
        clear_at=clear_at,
        trend=_read_trend(field["trend"]) if "trend" in field else None,
        votes=votes,
        window=window,
        hold=hold,
        change=_read_change(field["change"], unit, clear_at) if "change" in field else None,
        harms=_read_harms(field["harms"]),
    )
    note = (
        field["note"].text(_NOTE, "at most 400 characters in one line") if "note" in field else ""
    )
    evidence = _read_evidence(field["evidence"]) if "evidence" in field else None
    return ProfileRule(rule=rule, note=note, evidence=evidence)


def _read_threshold(place: Json, unit: Unit) -> float:
    value = place.number(_FORMS[unit])
    if value <= 0 or not _LOWEST[unit] <= value <= _HIGHEST[unit]:
        raise place.invalid(_FORMS[unit])
    return value


def _read_trend(place: Json) -> float:
    expected = "a rise per second above 0, or no such field"
    value = place.number(expected)
    if value <= 0:
        raise place.invalid(expected)
    return value


def _read_change(place: Json, unit: Unit, clear_at: float) -> Cusum:
    field = place.fields(("reference", "decision"))
    reference = _read_threshold(field["reference"], unit)
    if reference < clear_at:
        raise field["reference"].invalid(f"at least the clearing value, {clear_at:g}")
    decision = field["decision"].number("a number above 0")
    if decision <= 0:
        raise field["decision"].invalid("a number above 0")
    return Cusum(reference=reference, decision=decision)


def _read_harms(place: Json) -> frozenset[Victim]:
    victims = [item.member_of(Victim) for item in place.items(at_least=1, at_most=len(Victim))]
    if len(set(victims)) < len(victims):
        raise place.invalid("each victim once")
    return frozenset(victims)


def _read_evidence(place: Json) -> Evidence:
    field = place.fields(("precision", "recall", "windows"))
    return Evidence(
        precision=_read_share(field["precision"]),
        recall=_read_share(field["recall"]),
        windows=field["windows"].integer(1, _MOST_WINDOWS),
    )


def _read_share(place: Json) -> float:
    value = place.number("a share from 0 to 1")
    if not 0 <= value <= 1:
        raise place.invalid("a share from 0 to 1")
    return value


def _rule_json(entry: ProfileRule) -> dict[str, object]:
    rule = entry.rule
    written: dict[str, object] = {
        "metric": rule.metric.value,
        "raise": rule.raise_at,
        "clear": rule.clear_at,
    }
    if rule.trend is not None:
        written["trend"] = rule.trend
    if rule.change is not None:
        written["change"] = {
            "reference": rule.change.reference,
            "decision": rule.change.decision,
        }
    written |= {
        "votes": rule.votes,
        "window": rule.window,
        "hold": format_duration(rule.hold),
        "harms": [victim.value for victim in Victim if victim in rule.harms],
    }
    if entry.note:
        written["note"] = entry.note
    if entry.evidence is not None:
        written["evidence"] = {
            "precision": entry.evidence.precision,
            "recall": entry.evidence.recall,
            "windows": entry.evidence.windows,
        }
    return written
