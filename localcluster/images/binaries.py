"""Kubernetes' programs: given by the user, or built once from ordinary Go modules."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.host.commands import run
from localcluster.host.files import locked
from localcluster.images.go_toolchain import find_go, parse_go_version
from localcluster.progress import Progress

MODULE = Path(__file__).parent / "kubernetes"
PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_ETCD_NAMES = ("etcd", "server")
_BUILD_TIMEOUT = 3600
_STAMP = "source.sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A directory that holds every program; etcd may be called ``server``, as Go names it."""

    directory: Path

    def __post_init__(self) -> None:
        missing = [name for name in PROGRAMS if not _is_program(self.directory / name)]
        if not any(_is_program(self.directory / name) for name in _ETCD_NAMES):
            missing.append("etcd")
        if missing:
            raise LocalClusterError(f"{self.directory} lacks {', '.join(missing)}")

    def path(self, name: str) -> Path:
        """The absolute path of a program."""
        if name == "etcd":
            found = (self.directory / one for one in _ETCD_NAMES)
            return next(path for path in found if _is_program(path)).absolute()
        return (self.directory / name).absolute()


def kubernetes_version(module: Path = MODULE) -> str:
    """The version that the module asks for, such as ``v1.35.4``."""
    text = (module / "go.mod").read_text(encoding="utf-8")
    match = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
    if match is None:
        raise LocalClusterError(f"{module}/go.mod does not require k8s.io/kubernetes")
    return match[1]


def ensure_binaries(given: Path | None, *, cache: Path, progress: Progress) -> Binaries:
    """Take the given directory, or the cached build, or build (about six minutes on two CPUs)."""
    if given is not None:
        return Binaries(directory=given.absolute())
    version = kubernetes_version()
    target = cache / "kubernetes" / version
    digest = _source_digest(MODULE)
    with locked(cache / "kubernetes.lock"):
        if _read_stamp(target) == digest:
            return Binaries(directory=target)
        with progress.step("finding a Go toolchain"):
            go = find_go(cache, needed=_needed_go(MODULE))
        with progress.step(f"building Kubernetes {version} (minutes, once)"):
            _build(go, target, version)
        (target / _STAMP).write_text(digest, encoding="utf-8")
    return Binaries(directory=target)


def build_flags(version: str) -> str:
    """Linker flags: without a version the programs call themselves v0.0.0 and clients complain."""
    major, minor = version.removeprefix("v").split(".")[:2]
    where = "k8s.io/component-base/version"
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {where}.{key}={value}" for key, value in values.items())])


def _build(go: Path, target: Path, version: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    run(
        [go, "build", "-trimpath", "-o", f"{target}/", "-ldflags", build_flags(version), "tool"],
        timeout=_BUILD_TIMEOUT,
        directory=MODULE,
        # Static programs run in an image that holds nothing else, and need no C compiler.
        environment={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
    )


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


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
