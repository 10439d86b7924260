"""A process's settings: one frozen dataclass, filled from environment variables.

All bad variables are reported at once. Values carry their unit (``"30s"``, not ``30``).
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from k40s.errors import K40sError
from k40s.units import DURATION_FORM, Nanoseconds, parse_duration

T = TypeVar("T")
_MAX_CPU = 4096


class SettingsError(K40sError):
    """Variables that are missing or cannot be understood; ``problems`` has one line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def read_settings(cls: type[T], environ: Mapping[str, str], prefix: str = "K40S_") -> T:
    """Fill ``cls``: field ``node_name`` comes from ``K40S_NODE_NAME``, or has a default.

    An empty variable counts as absent. Field types: str, int, bool, Path, Fraction, Nanoseconds,
    ``tuple[int, ...]`` (a CPU list such as "0,2-3"), ``tuple[str, ...]`` (separated by commas), any
    StrEnum, and each of them ``| None``. What ``__post_init__`` refuses with ValueError is
    reported as well.
    Raises ``SettingsError``.
    """
    hints = get_type_hints(cls)
    values: dict[str, object] = {}
    problems: list[str] = []
    for field in fields(cls):  # type: ignore[arg-type]  # any dataclass; no bound says so
        name = prefix + field.name.upper()
        text = environ.get(name, "").strip()
        if not text:
            if _is_required(field):
                problems.append(f"{name}: not set, expected {_form(hints[field.name])}")
            continue
        try:
            values[field.name] = _parser(hints[field.name])(text)
        except (ValueError, ZeroDivisionError):
            form = _form(hints[field.name])
            problems.append(f"{name}: found {text[:80]!r}, expected {form}")
    if problems:
        raise SettingsError(tuple(problems))
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingsError((str(error),)) from error


def node_environment(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Lay the file ``<directory>/<K40S_NODE_NAME>.env`` over ``environ``, when there is one.

    So one DaemonSet can tell each node its own CPUs. Lines are ``NAME=value``, blank, or begin with
    "#". Raises ``SettingsError`` for any other line, and for a file that cannot be read.
    """
    merged = dict(environ)
    name = environ.get("K40S_NODE_NAME", "")
    path = directory / f"{name}.env"
    if not name or "/" in name:
        return merged
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return merged
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"{path}: {error}",)) from error
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.partition("=")
        if equals and key.startswith("K40S_"):
            merged[key.strip()] = value.strip()
        else:
            problems.append(f"{path} line {number}: found {line[:80]!r}, expected K40S_NAME=value")
    if problems:
        raise SettingsError(tuple(problems))
    return merged


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Read the kernel's CPU list form ("0,2-3"), ascending and without repeats; else ValueError."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not part.isascii() or not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"not a CPU list: {text!r}")
        low, high = int(first), int(last) if dash else int(first)
        if low > high or high > _MAX_CPU:
            raise ValueError(f"not a CPU list: {text!r}")
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))


def _parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"not a truth value: {text!r}")
    return text == "true"


def _parse_words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


_KINDS: dict[Any, tuple[Callable[[str], object], str]] = {
    str: (str, "text"),
    int: (int, "a whole number"),
    bool: (_parse_bool, '"true" or "false"'),
    Path: (Path, "a path"),
    Fraction: (Fraction, 'a number such as "0.45" or "9/20"'),
    Nanoseconds: (parse_duration, DURATION_FORM),
    tuple[int, ...]: (parse_cpu_list, 'a CPU list such as "0,2-3"'),
    tuple[str, ...]: (_parse_words, "words separated by commas"),
}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _kind(hint: Any) -> Any:  # noqa: ANN401  # a type, a NewType or a generic alias
    """Strip ``| None``: an absent variable leaves the default, so None is never written."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not types.NoneType)
    return hint


def _parser(hint: Any) -> Callable[[str], object]:  # noqa: ANN401  # as above
    kind = _kind(hint)
    return kind if _is_choice(kind) else _KINDS[kind][0]


def _form(hint: Any) -> str:  # noqa: ANN401  # as above
    kind = _kind(hint)
    return " or ".join(f'"{choice}"' for choice in kind) if _is_choice(kind) else _KINDS[kind][1]


def _is_choice(kind: Any) -> bool:  # noqa: ANN401  # as above
    return isinstance(kind, type) and issubclass(kind, StrEnum)
