"""The kernels that guests boot: Debian's own, unchanged."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import CommandError, LocalClusterError
from localcluster.guest.apt import AptView, find_source
from localcluster.host.files import locked
from localcluster.progress import Progress

CLOUD = "cloud"
"""Small, for virtual machines: no real-time groups, cgroup v2 only."""
REAL_TIME = "rt"
"""PREEMPT_RT; otherwise with everything that a machine needs."""

REMOTE_PARTITIONS = (6, 7)
"""The first Linux whose cpuset partitions need not be children of partitions."""

_SUITES = ("-backports", "")
"""Newer kernels are in the release's backports; its own is the fallback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestKernel:
    """A kernel image and its modules (the directory ``lib/modules/<release>``)."""

    flavour: str
    release: str
    image: Path
    modules: Path

    @property
    def version(self) -> tuple[int, ...]:
        """Such as (6, 12, 95, 12), to be compared."""
        return parse_version(self.release)


def parse_version(text: str) -> tuple[int, ...]:
    """All numbers of a kernel's or a package's name before its architecture, in order."""
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("amd64")[0]))


def newest(names: list[str], flavour: str, series: str = "") -> str | None:
    """The newest image package of a flavour; not the unsigned ones, nor those with symbols.

    ``series`` is a version such as 6.1, of whose kernels it has to be one.
    """
    pattern = re.compile(rf"linux-image-\d[^-]*(?:-\d+)?-{flavour}-amd64")
    found = (name for name in filter(pattern.fullmatch, names) if _is_of(name, series))
    return max(found, key=parse_version, default=None)


def ensure_kernel(
    flavour: str, *, series: str = "", cache: Path, progress: Progress
) -> GuestKernel:
    """The newest kernel of a flavour that is in the cache, else that Debian has for this release.

    With a ``series`` such as 6.1 it is the newest of that. Without, one that lacks remote
    partitions is taken only where there is no other. Raises ``LocalClusterError`` where neither
    suite has one.
    """
    directory = cache / "guests" / "kernels"
    what = f"Debian's {flavour} kernel{series and f' {series}'}"
    with locked(directory / f"{flavour}.lock"):
        kept = _kept(directory, flavour, series)
        if kept is None or (not series and kept.version < REMOTE_PARTITIONS):
            with progress.step(f"fetching {what} for guests"):
                _fetch(directory, flavour, series)
            kept = _kept(directory, flavour, series)
    if kept is None:
        raise LocalClusterError(f"{what} could not be fetched for the guest")
    return kept


def _is_of(name: str, series: str) -> bool:
    wanted = parse_version(series)
    return parse_version(name)[: len(wanted)] == wanted


def _kept(directory: Path, flavour: str, series: str) -> GuestKernel | None:
    prefix = f"{flavour}-"
    found = [
        path
        for path in directory.glob(f"{prefix}*")
        if path.is_dir() and _is_of(path.name.removeprefix(prefix), series)
    ]
    path = max(found, key=lambda one: parse_version(one.name), default=None)
    if path is None:
        return None
    (image,) = (path / "boot").glob("vmlinuz-*")
    release = image.name.removeprefix("vmlinuz-")
    return GuestKernel(
        flavour=flavour, release=release, image=image, modules=path / "lib/modules" / release
    )


def _fetch(directory: Path, flavour: str, series: str) -> None:
    """Put the newest package's files into ``<directory>/<flavour>-<version>``, whole or not."""
    problems = []
    for suffix in _SUITES:
        source = find_source(suffix)
        with tempfile.TemporaryDirectory(dir=directory, prefix="fetch-") as scratch:
            try:
                view = AptView(source, Path(scratch) / "apt")
                view.update()
                names = view.packages(f"^linux-image-[0-9].*-{flavour}-amd64$")
                package = newest(names, flavour, series)
                if package is None:
                    problems.append(f"{source.suite} has no linux-image-{series}*-{flavour}-amd64")
                    continue
                view.extract(package, Path(scratch) / "files")
            except CommandError as error:
                problems.append(f"{source.suite}: {error}")
                continue
            name = package.removeprefix("linux-image-").removesuffix("-amd64")
            target = directory / f"{flavour}-{name.removesuffix(f'-{flavour}')}"
            if not target.exists():
                shutil.move(Path(scratch) / "files", target)
            return
    raise LocalClusterError("no kernel for the guest: " + "; ".join(problems))
