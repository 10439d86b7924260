"""The images of a local cluster, made on this machine and cached by a hash of their inputs."""

import fcntl
import hashlib
import os
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.host.packages import find_command
from localcluster.images.archive import ImageConfiguration, pack_files, pack_layer
from localcluster.images.binaries import Binaries, kubernetes_version
from localcluster.images.buildah import Buildah
from localcluster.images.debian import BARE_PACKAGES, bootstrap, recipe
from localcluster.progress import Progress

PAUSE_IMAGE = "localhost/pause:local"
PYTHON_IMAGE = "localhost/python:3.11-slim"
WORKLOAD_IMAGE = "localhost/k40s-workload:dev"
K40S_IMAGE = "localhost/k40s:dev"
SCHEDULER_IMAGE = "registry.k8s.io/kube-scheduler"

PROJECT = Path(__file__).parent.parent.parent
_UNUSED_FOR = 3600
"""Seconds after which an unused archive may be removed."""

_SOURCES = (
    "Dockerfile",
    "requirements-runtime.lock",
    "k40s",
    "extender",
    "controller",
    "webhook",
    "insight",
    "daemons",
)
_PYTHON_PACKAGES = (
    *BARE_PACKAGES,
    "python3-venv",
    "python3-pip",
    "ca-certificates",
    "libstdc++6",  # wheels such as numpy's link against it
)
_WORKLOAD_PACKAGES = (*BARE_PACKAGES, "stress-ng", "rt-app", "procps")


class ImageStore:
    """Archives under ``<cache>/images``; a second request for the same content costs nothing."""

    def __init__(self, cache: Path, *, progress: Progress | None = None) -> None:
        self._directory = cache / "images"
        self._buildah = Buildah(cache / "buildah")
        self._progress = progress or Progress()

    def pause(self) -> Path:
        """The image of the process that holds a pod's namespaces (``catatonit -P``)."""
        program = find_command("catatonit")
        if program is None:
            raise LocalClusterError("catatonit is not installed: apt-get install catatonit")
        content = Path(program).read_bytes()
        image = _image(PAUSE_IMAGE, entrypoint=("/catatonit", "-P"))
        key = digest([repr(image).encode(), content])
        return self.ensure(
            "pause", key, lambda target: pack_files(target, {"catatonit": content}, image)
        )

    def python(self) -> Path:
        """Debian's Python with pip: the base of k40s's image, and what the examples run in."""
        return self._debian("python", PYTHON_IMAGE, _PYTHON_PACKAGES)

    def workload(self) -> Path:
        """Python, stress-ng and rt-app, for tests and the demo."""
        return self._debian("workload", WORKLOAD_IMAGE, _WORKLOAD_PACKAGES)

    def scheduler(self, binaries: Binaries) -> Path:
        """kube-scheduler alone, under the name and version that its users know."""
        program = binaries.path("kube-scheduler")
        image = _image(
            f"{SCHEDULER_IMAGE}:{kubernetes_version()}", command=("/usr/local/bin/kube-scheduler",)
        )
        key = digest([repr(image).encode(), file_digest(program)])

        def make(target: Path) -> None:
            pack_files(target, {"usr/local/bin/kube-scheduler": program.read_bytes()}, image)

        return self.ensure("kube-scheduler", key, make)

    def k40s(self, project: Path = PROJECT) -> Path:
        """All of k40s's processes, from the Dockerfile that users build too."""
        if not (project / "Dockerfile").is_file():
            raise LocalClusterError(f"{project} has no Dockerfile: run from a checkout of k40s")
        base = self.python()
        key = digest([base.name.encode(), *source_parts(project, _SOURCES)])

        def make(target: Path) -> None:
            self._buildah.build(
                project,
                base=base,
                arguments={"PYTHON_IMAGE": PYTHON_IMAGE},
                name=K40S_IMAGE,
                target=target,
            )

        return self.ensure("k40s", key, make)

    def ensure(self, name: str, key: str, make: Callable[[Path], object]) -> Path:
        """The archive ``<name>-<key>.tar``, made when it is missing.

        Others of that name go once nobody has asked for them for an hour: another checkout on this
        machine may be about to read its own.
        """
        target = self._directory / f"{name}-{key}.tar"
        if _used(target):
            return target
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                with self._progress.step(f"making image {name}"):
                    make(target)
                _drop_unused(self._directory.glob(f"{name}-*.tar"), kept=target)
        return target

    def _debian(self, name: str, image: str, packages: tuple[str, ...]) -> Path:
        configuration = _image(image, command=("python3",))
        key = digest(part.encode() for part in (repr(configuration), *recipe(packages)))

        def make(target: Path) -> None:
            root = target.with_suffix(".root.tar")
            try:
                bootstrap(root, packages)
                pack_layer(target, root, configuration)
            finally:
                root.unlink(missing_ok=True)

        return self.ensure(name, key, make)


def _used(archive: Path) -> bool:
    """Whether it is there; notes that it was asked for."""
    try:
        os.utime(archive)
    except FileNotFoundError:
        return False
    return True


def _drop_unused(archives: Iterable[Path], *, kept: Path) -> None:
    now = datetime.now(UTC).timestamp()
    for archive in archives:
        with suppress(FileNotFoundError):
            if archive != kept and now - archive.stat().st_mtime > _UNUSED_FOR:
                archive.unlink()


def digest(parts: Iterable[bytes]) -> str:
    """A short hash of parts, each with its length, so that no two lists give the same text."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()[:16]


def file_digest(path: Path) -> bytes:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def source_parts(project: Path, names: Iterable[str]) -> Iterable[bytes]:
    """Names and hashes of all files that an image is built from, in a fixed order."""
    for name in names:
        top = project / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                yield str(file.relative_to(project)).encode()
                yield file_digest(file)


def _image(
    name: str, *, entrypoint: tuple[str, ...] = (), command: tuple[str, ...] = ()
) -> ImageConfiguration:
    return ImageConfiguration(
        name=name, machine=platform.machine(), entrypoint=entrypoint, command=command
    )
