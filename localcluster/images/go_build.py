"""Builds the programs of a Go module that pins a version of Kubernetes, once for each pin."""

import hashlib
import os
import re
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.host.commands import run
from localcluster.host.files import locked
from localcluster.images.go_toolchain import find_go, go_version, parse_go_version
from localcluster.progress import Progress

_BUILD_TIMEOUT = 3600
_STAMP = "source.sha256"
_FETCHES_TOOLCHAINS = (1, 21)
"""From this Go on, ``GOTOOLCHAIN`` may name a newer one, which comes from the module proxy."""


def pinned_version(module: Path) -> str:
    """The version that the module asks for, such as ``v1.35.4``."""
    text = (module / "go.mod").read_text(encoding="utf-8")
    match = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
    if match is None:
        raise LocalClusterError(f"{module}/go.mod does not require k8s.io/kubernetes")
    return match[1]


def ensure_built(
    module: Path, *, cache: Path, progress: Progress, fetches: bool = False, what: str = ""
) -> Path:
    """The directory with the module's tools, built when it is not in the cache.

    With ``fetches`` a Go that is too old fetches the one that go.mod names, as a module. Raises
    ``LocalClusterError`` where there is no Go, and ``CommandError`` where it does not build.
    """
    version = pinned_version(module)
    target = cache / "kubernetes" / version
    digest = _source_digest(module)
    with locked(cache / f"kubernetes-{version}.lock"):
        if _read_stamp(target) == digest:
            return target
        needed = _needed_go(module)
        with progress.step("finding a Go toolchain"):
            go = find_go(cache, needed=min(needed, _FETCHES_TOOLCHAINS) if fetches else needed)
        with progress.step(f"building {what or 'Kubernetes'} {version} (minutes, once)"):
            _build(go, module, target, version, toolchain=_toolchain(go, needed))
        (target / _STAMP).write_text(digest, encoding="utf-8")
    return target


def build_flags(version: str) -> str:
    """Linker flags: without a version the programs call themselves v0.0.0 and clients complain."""
    major, minor = version.removeprefix("v").split(".")[:2]
    where = "k8s.io/component-base/version"
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {where}.{key}={value}" for key, value in values.items())])


def _build(go: Path, module: Path, target: Path, version: str, *, toolchain: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    run(
        [go, "build", "-trimpath", "-o", f"{target}/", "-ldflags", build_flags(version), "tool"],
        timeout=_BUILD_TIMEOUT,
        directory=module,
        # Static programs run in an image that holds nothing else, and need no C compiler.
        environment={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": toolchain},
    )


def _toolchain(go: Path, needed: tuple[int, ...]) -> str:
    return "local" if go_version(go) >= needed else f"go{'.'.join(map(str, needed))}"


def _needed_go(module: Path) -> tuple[int, ...]:
    text = (module / "go.mod").read_text(encoding="utf-8")
    match = re.search(r"^go (\S+)$", text, re.MULTILINE)
    return parse_go_version(match[1]) if match else ()


def _source_digest(module: Path) -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((module / name).read_bytes())
    return digest.hexdigest()


def _read_stamp(target: Path) -> str:
    try:
        return (target / _STAMP).read_text(encoding="utf-8")
    except OSError:
        return ""
