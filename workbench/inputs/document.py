"""Reads YAML and JSON documents into elements whose errors name file and path.

YAML is split and read as kubectl does it, by lines that begin with ``---``. What begins like JSON
may be JSON or YAML, as for kubectl.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

from k40s.errors import InvalidInputError
from k40s.strict_json import Json, read_json
from workbench.inputs.yaml_reader import LOADER, MAX_DEPTH, MAX_VALUES, YamlReader

__all__ = [
    "MAX_DEPTH",
    "MAX_DOCUMENT",
    "MAX_VALUES",
    "read_document",
    "read_documents",
    "read_fraction",
]

MAX_DOCUMENT = 1024 * 1024
"""Longest text that is parsed, in characters."""

MAX_DOCUMENTS = 500

_SEPARATOR = "---"


def read_document(text: str, *, source: str) -> Json:
    """Read the one document of a text. Raises ``InvalidInputError``."""
    documents = read_documents(text, source=source)
    if not documents:
        raise _invalid(source, "nothing but spaces and comments", "a document")
    if len(documents) > 1:
        raise _invalid(source, f"{len(documents)} documents", "one document")
    return documents[0]


def read_documents(text: str, *, source: str, loader: type = LOADER) -> list[Json]:
    """Read all documents of a text that are not empty. Raises ``InvalidInputError``."""
    if len(text) > MAX_DOCUMENT:
        expected = f"at most {MAX_DOCUMENT} characters"
        raise _invalid(source, f"more than {MAX_DOCUMENT} characters", expected)
    if source.endswith(".json"):
        return [_json(text, source)]
    if source.endswith((".yaml", ".yml")) or text.lstrip()[:1] not in ("{", "["):
        return _yaml(text, source, loader)
    try:
        return [_json(text, source)]
    except InvalidInputError as fault:
        try:
            return _yaml(text, source, loader)
        except InvalidInputError:
            raise fault from None


def read_fraction(element: Json) -> Fraction:
    """A fraction, as text (``9/20``) or as a plain number (``0.9``, taken as it is written)."""
    value = element.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Json(
            value=repr(value), source=element.source, error=element.error, path=element.path
        ).fraction()
    return element.fraction()


def _json(text: str, source: str) -> Json:
    if not text.strip():
        raise _invalid(source, "nothing", "a document")
    try:
        return read_json(text, source=source, error=InvalidInputError, at_most=MAX_DOCUMENT)
    except InvalidInputError as fault:
        if "Extra data" not in fault.expected:
            raise
        found = "more behind the first JSON value"
        raise _invalid(source, found, "one JSON object; several are the items of a List") from None


def _yaml(text: str, source: str, loader: type) -> list[Json]:
    parts = list(islice(_parts(text, source), MAX_DOCUMENTS + 1))
    if len(parts) > MAX_DOCUMENTS:
        most = f"{MAX_DOCUMENTS} documents"
        raise _invalid(source, f"more than {most}", f"at most {most}")
    filled = [part for _, part in parts if not all(map(_is_blank, part.split("\n")))]
    found = []
    for number, (first_line, part) in enumerate(parts):
        # Which of several documents is at fault, the path alone does not say.
        name = f"{source}, document {number + 1}" if filled[1:] else source
        value = YamlReader(part, source=name, first_line=first_line, loader=loader).read()
        if value is not None:
            found.append(Json(value=value, source=name, error=InvalidInputError))
    return found


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _parts(text: str, source: str) -> Iterator[tuple[int, str]]:
    """Documents as kubectl cuts them, each with the number of lines before it."""
    lines: list[str] = []
    first = 0
    for index, line in enumerate(text.split("\n")):
        if not line.startswith(_SEPARATOR):
            lines.append(line)
            continue
        behind = line.removeprefix(_SEPARATOR).strip()
        if behind and not behind.startswith("#"):
            raise _invalid(
                source,
                f"more than --- in line {index + 1}",
                "a line with nothing but --- between documents",
            )
        if lines:
            yield first, "\n".join(lines)
        lines, first = [], index + 1
    yield first, "\n".join(lines)


def _invalid(source: str, found: str, expected: str) -> InvalidInputError:
    element = Json(value=None, source=source, error=InvalidInputError)
    return element.invalid(expected, found=found)
