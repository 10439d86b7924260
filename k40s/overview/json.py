"""The JSON of an overview: ``dataclasses.asdict`` on every wire, read back strictly. Pure."""

import json
import re
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from k40s.errors import InvalidInputError
from k40s.overview.model import Overview
from k40s.strict_json import Json, read_json

T = TypeVar("T")

LONGEST = 64 << 20
"""Characters of an overview that is read at all."""
_MOST = 1_000_000
"""Items of a list."""
_FURTHEST = 10**15
_ANY_TEXT = re.compile(r".*", re.DOTALL)

_Reader = Callable[[Json], object]

_PLAIN: dict[object, _Reader] = {
    str: lambda place: place.text(_ANY_TEXT, "a string"),
    bool: lambda place: place.boolean(),
    int: lambda place: place.integer(-_FURTHEST, _FURTHEST),
    float: lambda place: place.number("a number"),
}


def format_overview(overview: Overview) -> str:
    """One line of JSON; ``parse_overview`` gives back an equal value."""
    return json.dumps(overview, default=_members, separators=(",", ":"), allow_nan=False)


def parse_overview(text: str, *, source: str = "overview") -> Overview:
    """Read it, field by field. Raises ``InvalidInputError``, which names the place."""
    return read_values(read_json(text, source=source, error=InvalidInputError, at_most=LONGEST))


def read_values(place: Json) -> Overview:
    """Read a decoded overview. Raises the place's error."""
    return read_dataclass(Overview, place)


def read_dataclass(kind: type[T], place: Json) -> T:
    """Read a dataclass of strings, numbers, booleans, None, and tuples of such dataclasses.

    Every field has to be there, and no other one. Raises the place's error.
    """
    return cast("T", _reader(cast("Hashable", kind))(place))


def _members(value: object) -> dict[str, object]:
    """One level of ``asdict``: the encoder asks for the next one itself."""
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"no JSON for {type(value).__name__}")
    return {one.name: getattr(value, one.name) for one in fields(value)}


@cache
def _reader(kind: Any) -> _Reader:  # noqa: ANN401  # an annotation has no other type
    """What reads a value of an annotation's type."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, UnionType):
        (some,) = (one for one in get_args(kind) if one is not NoneType)
        inner = _reader(some)
        return lambda place: None if place.value is None else inner(place)
    if get_origin(kind) is tuple:
        item = _reader(get_args(kind)[0])
        return lambda place: tuple(item(one) for one in place.items(at_most=_MOST))
    return _dataclass_reader(kind)


def _dataclass_reader(kind: Any) -> _Reader:  # noqa: ANN401  # as above
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}

    def read(place: Json) -> object:
        members = place.fields(readers)
        return kind(**{name: one(members[name]) for name, one in readers.items()})

    return read
