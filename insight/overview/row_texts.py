"""An overview as JSON. Rows that stay the same are written once: a cluster changes in few places.

The text is that of ``dataclasses.asdict``.
"""

import json
from dataclasses import dataclass, field, fields
from typing import Any

from k40s.overview.model import Overview


def _values(row: Any) -> dict[str, object]:  # noqa: ANN401  # a row of any kind
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_values).encode
_ROWS = ("nodes", "pods", "networks", "happenings")
_NAMES = tuple(one.name for one in fields(Overview))


class RowTexts:
    """Keeps the texts of rows from one overview to the next. Used by one thread at a time."""

    def __init__(self) -> None:
        self._former = _Texts()
        self._current = _Texts()

    def begin(self) -> None:
        """A new overview begins: forget what the last one did not have."""
        self._former, self._current = self._current, _Texts()

    def format(self, overview: Overview) -> str:
        """The overview's text, or that of a part of it."""
        parts = []
        for name in _NAMES:
            value = getattr(overview, name)
            text = f"[{','.join(map(self._row, value))}]" if name in _ROWS else _encode(value)
            parts.append(f'"{name}":{text}')
        return "{" + ",".join(parts) + "}"

    def _row(self, row: object) -> str:
        """The same object first: comparing a node compares all that it has."""
        key = id(row)
        found = self._current.by_identity.get(key) or self._former.by_identity.get(key)
        if found is None:
            text = self._current.by_value.get(row) or self._former.by_value.get(row)
            found = (row, _encode(row) if text is None else text)
            self._current.by_value[row] = found[1]
        self._current.by_identity[key] = found
        return found[1]


@dataclass(frozen=True, slots=True)
class _Texts:
    """``by_identity`` holds the rows as well, so that no other object gets their identity."""

    by_identity: dict[int, tuple[object, str]] = field(default_factory=dict)
    by_value: dict[object, str] = field(default_factory=dict)
