"""Values of one metric in the Prometheus text format (version 0.0.4, and OpenMetrics' samples).

What is not about the metric is skipped unread: a page may be long, and is not ours.
"""

import re
from collections.abc import Iterator, Mapping

MOST_SERIES = 256
"""Of one metric that are looked at."""

_LABEL = re.compile(rb'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*,?')
_NUMBER = re.compile(
    rb"[+-]?(?:Inf|NaN|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,3})?|[0-9]+\.)", re.IGNORECASE
)
_LONGEST_NUMBER = 40
_MOST_LINES = 4096
_ESCAPED = re.compile(rb"\\(.)")


def find_values(page: bytes, metric: str, labels: Mapping[str, str]) -> list[float]:
    """The values of the metric's series that have these labels, and perhaps others.

    Raises ``ValueError`` for a line of this metric that cannot be read, and for too many of them.
    """
    wanted = {name.encode(): value.encode() for name, value in labels.items()}
    found: list[float] = []
    for number, line in enumerate(_lines(page, metric.encode())):
        if number >= MOST_SERIES:
            raise ValueError(f"more than {MOST_SERIES} series")
        has, value = _read_labels(line)
        if wanted.items() <= has.items():
            found.append(_read_value(value))
    return found


def _lines(page: bytes, name: bytes) -> Iterator[bytes]:
    """What follows the metric's name in its lines. Names that begin so are looked at as well."""
    text = b"\n" + page
    begin = 0
    for _ in range(_MOST_LINES):
        at = text.find(b"\n" + name, begin)
        if at < 0:
            return
        begin = at + 1 + len(name)
        if text[begin : begin + 1] in {b"{", b" ", b"\t"}:
            end = text.find(b"\n", begin)
            yield text[begin : len(text) if end < 0 else end]
    raise ValueError(f"more than {_MOST_LINES} lines that begin so")


def _read_labels(rest: bytes) -> tuple[dict[bytes, bytes], bytes]:
    if not rest.startswith(b"{"):
        return {}, rest
    found: dict[bytes, bytes] = {}
    at = 1
    while (match := _LABEL.match(rest, at)) is not None:
        found[match[1]] = _ESCAPED.sub(lambda one: b"\n" if one[1] == b"n" else one[1], match[2])
        at = match.end()
    rest = rest[at:].lstrip()
    if not rest.startswith(b"}"):
        raise ValueError("labels that cannot be read")
    return found, rest[1:]


def _read_value(rest: bytes) -> float:
    words = rest.split(None, 1)
    if not words or len(words[0]) > _LONGEST_NUMBER or _NUMBER.fullmatch(words[0]) is None:
        raise ValueError("a value that is no number")
    return float(words[0])
