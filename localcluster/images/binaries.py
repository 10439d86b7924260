"""Kubernetes' programs: given by the user, or built once from ordinary Go modules."""

import os
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.images.go_build import ensure_built, pinned_version
from localcluster.images.schedulers import Scheduler
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A directory that holds every program; etcd may be called ``server``, as Go names it.

    ``scheduler`` is another kube-scheduler than the directory's, for tests of other versions.
    """

    directory: Path
    scheduler: Scheduler | None = None

    def __post_init__(self) -> None:
        missing = [name for name in PROGRAMS if not _is_program(self.directory / name)]
        if not any(_is_program(self.directory / name) for name in _ETCD_NAMES):
            missing.append("etcd")
        if missing:
            raise LocalClusterError(f"{self.directory} lacks {', '.join(missing)}")

    def path(self, name: str) -> Path:
        """The absolute path of a program."""
        if name == "kube-scheduler" and self.scheduler is not None:
            return self.scheduler.program.absolute()
        if name == "etcd":
            found = (self.directory / one for one in _ETCD_NAMES)
            return next(path for path in found if _is_program(path)).absolute()
        return (self.directory / name).absolute()

    @property
    def scheduler_flags(self) -> tuple[str, ...]:
        """What the scheduler's command line needs beside this API server."""
        return () if self.scheduler is None else self.scheduler.flags


def kubernetes_version(module: Path = MODULE) -> str:
    """The version that the module asks for, such as ``v1.35.4``."""
    return pinned_version(module)


def ensure_binaries(given: Path | None, *, cache: Path, progress: Progress) -> Binaries:
    """Take the given directory, or the cached build, or build (about six minutes on two CPUs)."""
    if given is not None:
        return Binaries(directory=given.absolute())
    return Binaries(directory=ensure_built(MODULE, cache=cache, progress=progress))


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
