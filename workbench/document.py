"""Text of a YAML or JSON document, to places whose every fault names its path.

YAML is read as Kubernetes reads it (YAML 1.1), but nothing is guessed from a value's looks except
numbers, truth and null: a date stays text. Fields given twice, tags of programming languages,
endless nesting and aliases that unfold without end are refused.
"""

from collections.abc import Iterator
from fractions import Fraction

import yaml
from yaml.constructor import ConstructorError

from k40s.errors import InvalidInputError
from k40s.strict_json import Json, read_json

MAX_DOCUMENT = 1024 * 1024
"""Longest text, in characters, that is looked into."""
MAX_VALUES = 100_000
MAX_DEPTH = 40

_TRUTH = "tag:yaml.org,2002:bool"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NULL = "tag:yaml.org,2002:null"
_TEXTS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")


def read_document(text: str, *, source: str) -> Json:
    """Read the one document of a text. Raises ``InvalidInputError``."""
    documents = read_documents(text, source=source)
    if len(documents) != 1:
        raise _invalid(source, "$", f"{len(documents)} documents", "one document")
    return documents[0]


def read_documents(text: str, *, source: str) -> list[Json]:
    """Read all documents of a text that are not empty. Raises ``InvalidInputError``."""
    if len(text) > MAX_DOCUMENT:
        found = f"{len(text)} characters"
        raise _invalid(source, "$", found, f"at most {MAX_DOCUMENT} characters")
    if _is_json(text, source):
        return [read_json(text, source=source, error=InvalidInputError, at_most=MAX_DOCUMENT)]
    try:
        _check_depth(text, source)
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as fault:
        raise _invalid(source, "$", _where(fault), "YAML or JSON") from None
    reader = _Reader(source)
    values = [reader.value(node, "$", 0) for node in nodes if node is not None]
    return [
        Json(value=value, source=source, error=InvalidInputError)
        for value in values
        if value is not None
    ]


def read_fraction(place: Json) -> Fraction:
    """A fraction, as text (``9/20``) or as a plain number (``0.9``, taken as it is written)."""
    value = place.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Json(
            value=repr(value), source=place.source, error=place.error, path=place.path
        ).fraction()
    return place.fraction()


def _check_depth(text: str, source: str) -> None:
    """Look at events as they come: the scanner has no end where nesting has none."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _too_large(source, "$")


def _is_json(text: str, source: str) -> bool:
    if source.endswith((".yaml", ".yml")):
        return False
    return source.endswith(".json") or text.lstrip()[:1] in ("{", "[")


class _Reader:
    """Turns composed YAML nodes into plain values, counting them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, path: str, depth: int) -> object:
        self._count += 1
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            raise _too_large(self._source, path)
        match node:
            case yaml.MappingNode():
                return dict(self._members(node, path, depth))
            case yaml.SequenceNode():
                items = enumerate(node.value)
                return [self.value(item, f"{path}[{index}]", depth + 1) for index, item in items]
            case yaml.ScalarNode():
                return self._scalar(node, path)
        raise self._invalid(path, f"the tag {node.tag}", "plain data")

    def _members(
        self, node: yaml.MappingNode, path: str, depth: int
    ) -> Iterator[tuple[str, object]]:
        seen: set[str] = set()
        for key, member in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._invalid(path, "a field whose name is no text", "names as text")
            name = str(key.value)
            if name in seen:
                raise self._invalid(path, f"the field {name!r} more than once", "each field once")
            seen.add(name)
            yield name, self.value(member, f"{path}.{name}", depth + 1)

    def _scalar(self, node: yaml.ScalarNode, path: str) -> object:
        if node.tag in _TEXTS:
            return str(node.value)
        if node.tag == _NULL:
            return None
        if node.tag == _TRUTH:
            return bool(self._scalars.construct_yaml_bool(node))
        if node.tag in _NUMBERS:
            return self._number(node, path)
        raise self._invalid(path, f"the tag {node.tag}", "plain data")

    def _number(self, node: yaml.ScalarNode, path: str) -> object:
        try:
            if node.tag == _NUMBERS[0]:
                return int(self._scalars.construct_yaml_int(node))
            return float(self._scalars.construct_yaml_float(node))
        except (ValueError, ConstructorError):
            raise self._invalid(path, str(node.value)[:60], "a number") from None

    def _invalid(self, path: str, found: str, expected: str) -> InvalidInputError:
        return _invalid(self._source, path, found, expected)


def _invalid(source: str, path: str, found: str, expected: str) -> InvalidInputError:
    place = Json(value=None, source=source, error=InvalidInputError, path=path)
    return place.invalid(expected, found=found)


def _too_large(source: str, path: str) -> InvalidInputError:
    expected = f"at most {MAX_VALUES} values, nested at most {MAX_DEPTH} deep"
    return _invalid(source, path, "more", expected)


def _where(fault: yaml.YAMLError) -> str:
    mark = getattr(fault, "problem_mark", None)
    problem = getattr(fault, "problem", None) or "text that cannot be read"
    if mark is None:
        return str(problem)
    return f"{problem}, at line {mark.line + 1} column {mark.column + 1}"
