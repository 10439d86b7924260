"""Values of YAML scalars as Kubernetes resolves them (sigs.k8s.io/yaml, a YAML 1.1 of its own).

``y`` and ``n`` are booleans, ``017`` and ``0o17`` are fifteen, ``08`` and ``1e3`` are numbers,
``1:30`` and dates stay text. What it takes for a number is written as JSON next, so that ``2.0`` is
the whole number two, and an infinity has no form.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

Value = str | int | float | bool | None

_PREFIX = "tag:yaml.org,2002:"
STR = f"{_PREFIX}str"
BOOL = f"{_PREFIX}bool"
INT = f"{_PREFIX}int"
FLOAT = f"{_PREFIX}float"
NULL = f"{_PREFIX}null"
MERGE = f"{_PREFIX}merge"
TAGS = (STR, BOOL, INT, FLOAT, NULL)
"""Tags of scalars that are read; Kubernetes takes those of others for text."""

_WORDS: Mapping[str, bool | None] = MappingProxyType(
    {
        **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
        **dict.fromkeys(("true", "True", "TRUE"), True),
        **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
        **dict.fromkeys(("false", "False", "FALSE"), False),
        **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    }
)
_SPECIAL = re.compile(r"\.(?:nan|NaN|NAN)|[-+]?\.(?:inf|Inf|INF)", re.ASCII)
_INTEGER = re.compile(
    r"([-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>0|[1-9][0-9]*))",
    re.ASCII,
)
_SIGNED_BINARY = re.compile(r"0b([-+][01]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_FRACTION = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?", re.ASCII)
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_MAX_DIGITS = 400
_WHOLE = 1e21
"""JSON writes whole numbers below this without an exponent."""


class UnresolvedScalarError(ValueError):
    """Kubernetes refuses such a scalar; the text says what would be right."""


def resolve_scalar(text: str, tag: str | None) -> Value:
    """The value of a plain scalar, or of one with a tag of ``TAGS``.

    Raises ``UnresolvedScalarError``.
    """
    if tag == STR:
        return text
    found = _plain(text)
    if tag == FLOAT and _kind(found) == INT:
        return found
    if tag is not None and _kind(found) != tag:
        raise UnresolvedScalarError(f"what its tag says, {tag.removeprefix(_PREFIX)}")
    return found


def _plain(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if _SPECIAL.fullmatch(text):
        raise UnresolvedScalarError("a finite number: Kubernetes refuses any other")
    if text[0] == ".":
        return _float(text.replace("_", "")) if _FRACTION.fullmatch(text) else text
    if text[0] not in "+-0123456789":
        return text
    return _number(text.replace("_", ""), text)


def _number(plain: str, text: str) -> Value:
    if len(plain) > _MAX_DIGITS:
        raise UnresolvedScalarError(f"a number of at most {_MAX_DIGITS} digits, or quotes around")
    match = _INTEGER.fullmatch(plain)
    if match is not None:
        kind = str(match.lastgroup)
        value = int(match[1] + match[kind], _BASES[kind])
        # Only an unsigned text may need all of the 64 bits.
        if _LEAST <= value <= (_MOST >> 1 if match[1] else _MOST):
            return value
    if _FLOAT.fullmatch(plain):
        found = _float(plain)
        return text if found is None else found
    signed = _SIGNED_BINARY.fullmatch(plain)
    return text if signed is None else int(signed[1], 2)


def _float(text: str) -> int | float | None:
    """A double as JSON carries it, or None for what is too large to be one."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return None
    return int(value) if value.is_integer() and abs(value) < _WHOLE else value


def _kind(value: Value) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STR
