"""Kubeconfig files, and lists of them: ``KUBECONFIG=a:b`` means what it means to kubectl.

The first file wins for each named cluster, user and context, and for the current context. Missing
files are ignored.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k40s.errors import UnavailableError

_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """The files that are not empty, by precedence, and the context to use.

    ``namespace`` is the context's, "" where it names none.
    """

    files: tuple[Path, ...]
    context: str
    namespace: str = ""


def kubeconfig_files(setting: str) -> tuple[Path, ...]:
    """The files of a setting that exist, in its order; names are separated as in ``PATH``."""
    paths = (_expand(Path(name)) for name in setting.split(os.pathsep) if name)
    return tuple(path for path in paths if path.is_file())


def _expand(path: Path) -> Path:
    """``~`` is a home directory; one of a user who does not exist stays as it is written."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def read_kubeconfig(setting: str, *, context: str = "") -> Kubeconfig:
    """Look into the file or files that a setting names; ``context`` replaces the current one.

    Raises ``UnavailableError`` where there is none, one cannot be understood, or no context is
    named.
    """
    paths = kubeconfig_files(setting)
    if not paths:
        raise UnavailableError(f"no kubeconfig file: {setting}")
    documents = {path: _read(path) for path in paths}
    if not context:
        named = [document.get("current-context") for document in documents.values()]
        context = next((name for name in named if isinstance(name, str) and name), "")
    if not context:
        raise UnavailableError(f"no current-context in {setting}")
    return Kubeconfig(
        files=tuple(path for path, document in documents.items() if document),
        context=context,
        namespace=_namespace(documents.values(), context),
    )


def _namespace(documents: Iterable[Mapping[str, Any]], context: str) -> str:
    """The namespace of the context, which the first file that has it declares."""
    for document in documents:
        for item in document.get("contexts") or []:
            if item["name"] == context:
                found = (item.get("context") or {}).get("namespace")
                return found if isinstance(found, str) else ""
    return ""


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UnavailableError(f"{path}: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UnavailableError(f"{path}: not a kubeconfig file")
    for part, kind in _LISTS.items():
        _check(path, document.get(part) or [], part, kind)
    return document


def _check(path: Path, items: object, part: str, kind: str) -> None:
    if not isinstance(items, list):
        raise UnavailableError(f"{path}: {part} is no list")
    found = set()
    for item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not isinstance(item.get(kind) or {}, dict):
            raise UnavailableError(f"{path}: {part} has an entry without name or {kind}")
        if name in found:
            raise UnavailableError(f"{path}: {part} has {name!r} twice")
        found.add(name)
