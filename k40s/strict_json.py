"""Strict JSON from outside, read field by field, with one clear error.

``read_json`` turns text into a ``Json``: a decoded value that knows its source and path, so each
refusal names the place, what was found there and what would be right. Repeated fields, NaN,
deep nesting, long numbers and unknown fields are refused like any other mistake.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from k40s.errors import InvalidInputError
from k40s.units import DURATION_FORM, Nanoseconds, parse_duration

E = TypeVar("E", bound=StrEnum)

MAX_TEXT = 64 * 1024
"""Longest text, in characters, that is looked into at all."""

_MAX_DIGITS = 18
_MAX_NAME = 60
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", re.ASCII)
_FRACTION = re.compile(r"[0-9]{1,600}(?:/[0-9]{1,600}|\.[0-9]{1,12})?", re.ASCII)


class _Description:
    """A description of what was found, where no JSON value shows it."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return self._words


class _Repeated(_Description):
    """An object that names a field twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Json:
    """A decoded JSON value and the place where it stands.

    Every method returns the value in the asked form or raises ``error`` for this place.
    """

    value: object
    source: str
    error: type[InvalidInputError]
    path: str = "$"

    def invalid(self, expected: str, *, found: str | None = None) -> InvalidInputError:
        """The error for this place, to be raised by the caller; ``found`` in words, if any."""
        what = _found(self.value) if found is None else _Description(found)
        return self.error(source=self.source, path=self.path, found=what, expected=expected)

    def fields(self, required: Iterable[str], optional: Iterable[str] = ()) -> "dict[str, Json]":
        """An object with all required fields and no unknown one."""
        members = self.members()
        known = (*required, *optional)
        for name, member in members.items():
            if name not in known:
                raise member.invalid(
                    f"only {', '.join(known)}", found=f"the unknown field {_quoted(name)}"
                )
        for name in required:
            if name not in members:
                raise self._at(name, None).invalid("this field", found="nothing")
        return members

    def members(self) -> "dict[str, Json]":
        """An object with whatever fields it has."""
        if isinstance(self.value, _Repeated):
            raise self.invalid("each field once")
        if not isinstance(self.value, dict):
            raise self.invalid("an object")
        return {name: self._at(name, member) for name, member in self.value.items()}

    def items(self, *, at_least: int = 0, at_most: int) -> "list[Json]":
        """An array of so many items."""
        if not isinstance(self.value, list) or not at_least <= len(self.value) <= at_most:
            raise self.invalid(f"an array of {at_least} to {at_most} items")
        return [self._at(index, item) for index, item in enumerate(self.value)]

    def text(self, pattern: re.Pattern[str], expected: str) -> str:
        """A string that the pattern matches as a whole."""
        if not isinstance(self.value, str) or pattern.fullmatch(self.value) is None:
            raise self.invalid(expected)
        return self.value

    def integer(self, lowest: int, highest: int) -> int:
        """A whole number in a closed range."""
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise self.invalid(f"a whole number from {lowest} to {highest}")
        return value

    def number(self, expected: str) -> float:
        """A finite number, whole or not; a Boolean and a text are none."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.invalid(expected)
        if not math.isfinite(value):  # 1e999 is such a number in JSON
            raise self.invalid(expected)
        return float(value)

    def boolean(self) -> bool:
        """``true`` or ``false``."""
        if not isinstance(self.value, bool):
            raise self.invalid("true or false")
        return self.value

    def member_of(self, kind: type[E]) -> E:
        """One of an enumeration's texts."""
        for member in kind:
            if self.value == member:
                return member
        raise self.invalid(" or ".join(_quoted(member) for member in kind))

    def duration(self) -> Nanoseconds:
        """A positive duration with its unit; a bare number is refused."""
        if not isinstance(self.value, str):
            raise self.invalid(DURATION_FORM)
        try:
            value = parse_duration(self.value)
        except ValueError:
            raise self.invalid(f"{DURATION_FORM}, in whole nanoseconds") from None
        if value == 0:
            raise self.invalid("a duration above zero")
        return value

    def fraction(self) -> Fraction:
        """An exact fraction from zero, as text: ``"9/20"``, ``"1.5"`` or ``"2"``."""
        expected = 'a fraction as text, such as "9/20" or "1.5"'
        text = self.text(_FRACTION, expected)
        try:
            return Fraction(text)
        except ZeroDivisionError:
            raise self.invalid(expected) from None

    def _at(self, step: str | int, value: object) -> "Json":
        if isinstance(step, int):
            path = f"{self.path}[{step}]"
        elif _PLAIN_NAME.fullmatch(step):
            path = f"{self.path}.{step}"
        else:
            path = f"{self.path}[{_quoted(step)}]"
        return Json(value=value, source=self.source, error=self.error, path=path)


def read_json(
    text: str, *, source: str, error: type[InvalidInputError], at_most: int = MAX_TEXT
) -> Json:
    """Decode a text from outside; raises ``error`` with path ``$`` where it is not JSON."""
    whole = Json(value=text, source=source, error=error)
    if len(text) > at_most:
        raise whole.invalid(f"at most {at_most} characters")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise whole.invalid("JSON that is not nested so deeply") from None
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno} column {fault.colno}"
        raise whole.invalid(f"JSON ({fault.msg} at {where})") from None
    except ValueError as fault:
        raise whole.invalid(f"JSON without {fault}") from None
    return Json(value=value, source=source, error=error)


def format_json(value: object) -> str:
    """Write compact JSON in one line."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _quoted(name: str) -> str:
    return json.dumps(name)[:_MAX_NAME]


def _found(value: object) -> object:
    match value:
        case dict():
            return _Description(f"an object with {len(value)} fields")
        case list():
            return _Description(f"an array of {len(value)} items")
        case _:
            return value


def _unique_members(pairs: list[tuple[str, object]]) -> object:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    times = Counter(name for name, _ in pairs)
    twice = next(name for name, count in times.items() if count > 1)
    return _Repeated(f"the field {_quoted(twice)} more than once")


def _whole_number(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"numbers of more than {_MAX_DIGITS} digits")
    return int(text)


def _no_constant(text: str) -> object:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_int=_whole_number, parse_constant=_no_constant
)
