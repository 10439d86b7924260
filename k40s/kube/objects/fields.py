"""Reads the fields of an API object, with faults instead of errors.

Anybody may create pods, so no field of one may stop the process that reads it: an unreadable field
becomes a default, and a ``Fault`` says where and what it was.
"""

from collections.abc import Mapping
from typing import Any

from k40s.kube.records import Fault

JsonObject = Mapping[str, Any]

_SHOWN = 40
_NOTHING: JsonObject = {}


class NamelessError(ValueError):
    """The name of an object cannot be read, so it cannot be identified.

    ``hint`` holds those of its names that could be read.
    """

    def __init__(self, hint: str) -> None:
        self.hint = hint
        super().__init__("an object without its name")


class Fields:
    """Collects the first fault of each field of a record, while that is read."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The unreadable fields, in reading order."""
        return tuple(self._faults.values())

    def refuse(self, field: str, path: str, found: object, expected: str) -> None:
        """Note that ``field`` of the record cannot be read, because of what is at ``path``."""
        if field not in self._faults:
            text = f"{path}: found {_shown(found)}, expected {expected}"
            self._faults[field] = Fault(field=field, text=text)

    def text(self, field: str, path: str, value: object) -> str:
        """A string; "" for none."""
        if isinstance(value, str):
            return value
        if value is not None:
            self.refuse(field, path, value, "a string")
        return ""

    def part(self, field: str, path: str, value: object) -> JsonObject:
        """An object; empty for none."""
        if isinstance(value, dict):
            return value
        if value is not None:
            self.refuse(field, path, value, "an object")
        return _NOTHING

    def parts(self, field: str, path: str, value: object) -> list[tuple[str, JsonObject]]:
        """The objects of an array with their paths, without those that are none."""
        if not isinstance(value, list):
            if value is not None:
                self.refuse(field, path, value, "an array")
            return []
        found: list[tuple[str, JsonObject]] = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append((f"{path}[{index}]", item))
            else:
                self.refuse(field, f"{path}[{index}]", item, "an object")
        return found

    def texts(self, field: str, path: str, value: object) -> Mapping[str, str]:
        """An object of strings; a value that is none becomes "", which no k40s key allows."""
        members = self.part(field, path, value)
        if {str}.issuperset(map(type, members.values())):
            return members
        kept = {}
        for key, member in members.items():
            kept[key] = self.text(field, f"{path}[{_shown(key)}]", member)
            if member is None:
                self.refuse(field, f"{path}[{_shown(key)}]", member, "a string")
        return kept


def names(item: object, *keys: str) -> tuple[str, ...]:
    """The members of ``metadata`` that identify an object. Raises ``NamelessError``."""
    meta = item.get("metadata") if isinstance(item, dict) else None
    found = [meta.get(key) if isinstance(meta, dict) else None for key in keys]
    if not all(map(_is_name, found)):
        raise NamelessError("/".join(str(name)[:_SHOWN] for name in found if _is_name(name)))
    return tuple(map(str, found))


def version(item: object) -> str:
    """An object's resource version; "" where it cannot be read."""
    meta = item.get("metadata") if isinstance(item, dict) else None
    found = meta.get("resourceVersion") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else ""


def _is_name(value: object) -> bool:
    """Whether it is text that can be written anywhere: half a surrogate pair cannot."""
    if not isinstance(value, str) or not value:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _shown(found: object) -> str:
    """The beginning of a value, without writing the whole of it."""
    match found:
        case str():
            text = ascii(found[: _SHOWN + 1])
        case None | bool() | float():
            text = str(found)
        case int():
            text = str(found) if found.bit_length() < 4 * _SHOWN else "an endless number"
        case dict():
            text = f"an object of {len(found)} members"
        case list():
            text = f"an array of {len(found)} items"
        case _:
            text = type(found).__name__
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
