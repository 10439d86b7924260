"""Other versions of kube-scheduler, for the tests of the extender against each of them.

Each has a Go module of its own in ``schedulers/``, which pins everything that it is built from.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.images.go_build import ensure_built
from localcluster.progress import Progress

MODULES = Path(__file__).parent / "schedulers"
_VERSION = re.compile(r"v1\.(\d+)\.\d+(?:-[a-z]+\.\d+)?")
_TAINT_RULES = 37
"""From this minor version on a scheduler waits for DeviceTaintRules of ``resource.k8s.io/v1``."""
_LOCKED = 38
"""From this minor version on only a scheduler that emulates an older one does not wait for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """A kube-scheduler: its program, and the flags that it needs beside an older API server."""

    version: str
    program: Path
    flags: tuple[str, ...] = ()


def scheduler_versions(modules: Path = MODULES) -> tuple[str, ...]:
    """Those that can be built, such as ``v1.36.3``."""
    return tuple(sorted(path.name for path in modules.iterdir() if (path / "go.mod").is_file()))


def ensure_scheduler(
    version: str, *, api_server: str, cache: Path, progress: Progress, modules: Path = MODULES
) -> Scheduler:
    """Take the cached build, or build it (about seven minutes on two CPUs).

    Both versions are like ``v1.36.3``. Raises ``LocalClusterError`` for one without a module.
    """
    known = scheduler_versions(modules)
    if version not in known:
        raise LocalClusterError(
            f"kube-scheduler {version}: expected one of {', '.join(known)}; "
            "`make pin-scheduler VERSION=…` pins another one"
        )
    built = ensure_built(
        modules / version, cache=cache, progress=progress, fetches=True, what="kube-scheduler"
    )
    flags = scheduler_flags(version, api_server=api_server)
    return Scheduler(version=version, program=built / "kube-scheduler", flags=flags)


def scheduler_flags(version: str, *, api_server: str) -> tuple[str, ...]:
    """What a scheduler needs to schedule anything at an API server of that version.

    A newer one waits, without an end and without a word, for an API that an older one lacks.
    """
    if not minor(api_server) < _TAINT_RULES <= minor(version):
        return ()
    off = "--feature-gates=DRADeviceTaintRules=false"
    return (f"--emulated-version=1.{_LOCKED - 1}", off) if minor(version) >= _LOCKED else (off,)


def minor(version: str) -> int:
    """The minor version of ``v1.35.4``. Raises ``LocalClusterError``."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise LocalClusterError(f"found version {version!r}, expected one such as v1.36.3")
    return int(match[1])
