"""Annotations as values, each text parsed once while it stays in the cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from k40s.errors import InvalidInputError

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Generic[T]):
    """A text's value, or why it has none; both are empty where there is no text."""

    value: T | None = None
    fault: str = ""


_ABSENT: Parsed[object] = Parsed()


class ParsedTexts:
    """What texts say, kept from one overview to the next by whoever builds them. Not locked.

    It holds what the last overview and the one being built needed, and nothing older.
    """

    def __init__(self) -> None:
        self._former: dict[tuple[object, ...], Parsed[object]] = {}
        self._current: dict[tuple[object, ...], Parsed[object]] = {}
        self._former_derived: dict[str, tuple[object, object]] = {}
        self._derived: dict[str, tuple[object, object]] = {}

    def begin(self) -> None:
        """A new overview begins: forget what the last one did not need."""
        self._former, self._current = self._current, {}
        self._former_derived, self._derived = self._derived, {}

    def derived(self, key: str, source: S, derive: Callable[[S], T]) -> T:
        """What ``derive`` makes of a record, made again only for another object than last time.

        Informers hand out the same record until it changes. ``derive`` is pure.
        """
        found = self._derived.get(key) or self._former_derived.get(key)
        if found is None or found[0] is not source:
            found = (source, derive(source))
        self._derived[key] = found
        return cast("T", found[1])

    def read(self, key: tuple[object, ...], parse: Callable[[], T]) -> Parsed[T]:
        """The value of ``parse``, or its ``InvalidInputError`` as text.

        ``key`` names the kind of text and has everything that ``parse`` depends on.
        """
        found = self._current.get(key) or self._former.get(key)
        if found is None:
            try:
                found = Parsed(value=parse())
            except InvalidInputError as error:
                found = Parsed(fault=str(error))
        self._current[key] = found
        return cast("Parsed[T]", found)

    def annotation(self, text: str | None, parse: Callable[[str], T]) -> Parsed[T]:
        """One annotation's value by a parser of its text alone; empty for None."""
        if text is None:
            return cast("Parsed[T]", _ABSENT)
        return self.read((parse, text), lambda: parse(text))
