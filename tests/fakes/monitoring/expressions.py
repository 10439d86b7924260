"""The metrics and label values that a PromQL expression names, found in its text."""

import re
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = ("_bucket", "_sum", "_count")
_METRIC = re.compile(r"(?P<name>\bk40s_\w+|ALERTS)(?P<labels>\{[^}]*\})?")
_ANY = re.compile(r"\{(?P<labels>[^}]*__name__[^}]*)\}")
_MATCHER = re.compile(r'(?P<label>\w+)(?P<how>=~|!~|!=|=)"(?P<value>[^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """One selector: the metric's name as a regular expression, and its matchers."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expr: str) -> list[Selector]:
    """All selectors of an expression."""
    found = []
    for match in _ANY.finditer(expr):
        matchers = _matchers(match["labels"])
        (name,) = (value for label, _, value in matchers if label == "__name__")
        others = tuple(one for one in matchers if one[0] != "__name__")
        found.append(Selector(name=name, matchers=others))
    rest = _ANY.sub("", expr)
    found += [
        Selector(name=match["name"], matchers=_matchers(match["labels"] or ""))
        for match in _METRIC.finditer(rest)
    ]
    return found


def listed_metrics() -> set[str]:
    """All metrics of docs/metrics.md."""
    page = Path("docs/metrics.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(k40s_\w+)", page, re.MULTILINE))


def documented(name: str, listed: set[str]) -> set[str]:
    """Which of the listed metrics a selector's name means."""
    base = name
    for suffix in _SUFFIXES:
        if base.removesuffix(suffix) in listed:
            base = base.removesuffix(suffix)
    return {one for one in listed if re.fullmatch(base, one)}


def _matchers(text: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((one["label"], one["how"], one["value"]) for one in _MATCHER.finditer(text))
