"""One YAML document as plain values, read as Kubernetes reads it, or refused.

Anchors, aliases and merge keys are resolved as sigs.k8s.io/yaml resolves them: merged fields
replace those before them in the mapping, even the mapping's own. What
Kubernetes would drop silently is refused: a field given twice, text after the end of a document.

Values are built from parser events, so that depth and number are bounded while reading; what an
alias stands for counts each time, but is not copied.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from k40s.errors import InvalidInputError
from k40s.strict_json import Json
from workbench.inputs.yaml_scalars import MERGE, STR, TAGS, UnresolvedScalarError, resolve_scalar

MAX_VALUES = 100_000
MAX_DEPTH = 100

_ALIASES, _DECODED, _RATIO = 100, 1000, 0.99
"""Kubernetes refuses a document of which more than this share comes from aliases."""
# libyaml, from which Kubernetes' parser is ported, is several times as fast, but optional.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class _Read:
    """A value, how many values it consists of, and how many of these come from aliases."""

    value: object
    size: int = 1
    aliased: int = 0


@dataclass(slots=True)
class _Mapping:
    """A mapping in the making, with the names that it gives itself."""

    value: dict[str, object] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    size: int = 1
    aliased: int = 0

    def count(self, part: _Read) -> None:
        self.size += part.size
        self.aliased += part.aliased


class YamlReader:
    """Reads a text that holds one document. ``first_line`` is where it starts in the file."""

    def __init__(
        self, text: str, *, source: str, first_line: int = 0, loader: type = LOADER
    ) -> None:
        self._text = text
        self._source = source
        self._first_line = first_line
        self._events = self._parse(loader)
        self._anchors: dict[str, _Read | None] = {}
        self._count = self._aliased = 0

    def read(self) -> object:
        """The document's value; None where there is none. Raises ``InvalidInputError``."""
        try:
            next(self._events)  # the stream's start
            if isinstance(next(self._events), yaml.StreamEndEvent):
                return None
            found = self._value(next(self._events), "$", 0).value
            next(self._events)  # the document's end
            if not isinstance(next(self._events), yaml.StreamEndEvent):
                raise self.invalid(
                    "$",
                    "text behind the end of a document, which Kubernetes leaves out",
                    "a line --- between documents",
                )
        except yaml.YAMLError as fault:
            raise self._unreadable(fault) from None
        return found

    def _parse(self, loader: type) -> Iterator[yaml.Event]:
        return iter(yaml.parse(self._text, Loader=loader))

    def invalid(self, path: str, found: str, expected: str) -> InvalidInputError:
        """The error for an element of the document."""
        element = Json(value=None, source=self._source, error=InvalidInputError, path=path)
        return element.invalid(expected, found=found)

    def _value(self, event: yaml.Event, path: str, depth: int) -> _Read:
        self._bound(1, 0, path, depth)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, depth)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, yaml.MappingStartEvent):
            found = self._mapping(path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._sequence(path, depth)
        elif isinstance(event, yaml.ScalarEvent):
            found = _Read(self._scalar(event, path))
        else:
            raise self.invalid(path, f"the event {event}", "a value")
        if anchor is not None:
            self._anchors[anchor] = found
        return found

    def _alias(self, event: yaml.AliasEvent, path: str, depth: int) -> _Read:
        name = str(event.anchor)
        target = self._anchors.get(name)
        if target is None:
            what = "that contains itself" if name in self._anchors else "without an anchor"
            raise self.invalid(path, f"the alias *{name} {what}", f"an anchor &{name} before it")
        self._bound(target.size, target.size, path, depth)
        return _Read(target.value, 1 + target.size, target.size)

    def _sequence(self, path: str, depth: int) -> _Read:
        items: list[object] = []
        size, aliased = 1, 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            part = self._value(event, f"{path}[{len(items)}]", depth + 1)
            items.append(part.value)
            size += part.size
            aliased += part.aliased
        return _Read(items, size, aliased)

    def _mapping(self, path: str, depth: int) -> _Read:
        made = _Mapping()
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if _is_merge(event):
                self._merge(made, f"{path}.<<", depth + 1)
                continue
            key = self._value(event, path, depth + 1)
            name = self._name(key.value, path)
            part = self._value(next(self._events), f"{path}.{name}", depth + 1)
            if name in made.own:
                raise self.invalid(path, f"the field {name!r} more than once", "each field once")
            made.own.add(name)
            made.value[name] = part.value
            made.count(key)
            made.count(part)
        return _Read(made.value, made.size, made.aliased)

    def _merge(self, made: _Mapping, path: str, depth: int) -> None:
        event = next(self._events)
        part = self._value(event, path, depth)
        merged = part.value
        # An alias of a list is no list to Kubernetes: its items would not be merged.
        listed = isinstance(event, yaml.SequenceStartEvent) and isinstance(merged, list)
        sources = list(merged) if listed and isinstance(merged, list) else [merged]
        for one in reversed(sources):
            if not isinstance(one, dict):
                raise self.invalid(
                    path, "what is no mapping", "a mapping or a list of mappings to merge"
                )
            self._bound(len(one), 0, path, depth)
            made.value.update(one)
        made.count(part)

    def _name(self, key: object, path: str) -> str:
        match key:
            case bool():
                return str(key).lower()
            case str():
                return key
            case int() if abs(key) < 1 << 63:
                return str(key)
        raise self.invalid(path, "a field whose name is no text", "names as text: put quotes")

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> object:
        tag = event.tag
        if tag is None and not event.implicit[0]:
            return str(event.value)
        if tag == "!":
            tag = STR
        if tag is not None and tag not in TAGS:
            raise self.invalid(path, f"the tag {tag}", "plain data")
        try:
            return resolve_scalar(event.value, tag)
        except UnresolvedScalarError as error:
            raise self.invalid(path, str(event.value)[:60], str(error)) from None

    def _bound(self, count: int, aliased: int, path: str, depth: int) -> None:
        self._count += count
        self._aliased += aliased
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            expected = f"at most {MAX_VALUES} values, nested at most {MAX_DEPTH} deep"
            raise self.invalid(path, "more", expected)
        if (
            self._aliased > _ALIASES
            and self._count > _DECODED
            and self._aliased > _RATIO * self._count
        ):
            raise self.invalid(
                path, "almost nothing but aliases", "a document that Kubernetes unfolds"
            )

    def _unreadable(self, fault: yaml.YAMLError) -> InvalidInputError:
        mark = getattr(fault, "problem_mark", None)
        if mark is None:
            found = "a character that no text has"
            return self.invalid("$", found, "YAML or JSON, in UTF-8 without control characters")
        where = f"line {mark.line + 1 + self._first_line} column {mark.column + 1}"
        lines = self._text.split("\n")
        line = lines[mark.line] if mark.line < len(lines) else ""
        if line[: mark.column + 1].lstrip(" ")[:1] == "\t" or line[mark.column :][:1] == "\t":
            return self.invalid("$", f"a tab in {where}", "spaces: YAML is not indented by tabs")
        problem = getattr(fault, "problem", None) or "it cannot be read"
        return self.invalid("$", f"no YAML in {where} ({problem})", "YAML or JSON")


def _is_merge(event: yaml.Event) -> bool:
    return (
        isinstance(event, yaml.ScalarEvent)
        and event.value == "<<"
        and (event.implicit[0] or event.tag == MERGE)
    )
