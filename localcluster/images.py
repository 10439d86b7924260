"""The images of a local cluster, made on this machine and kept by a hash of their making."""

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path

from localcluster.archive import ImageConfiguration, pack_files
from localcluster.errors import LocalClusterError
from localcluster.packages import find_command
from localcluster.progress import Progress

PAUSE_IMAGE = "localhost/pause:local"


class ImageStore:
    """Archives under ``<cache>/images``; a second request for the same content costs nothing."""

    def __init__(self, cache: Path) -> None:
        self._directory = cache / "images"

    def pause(self, progress: Progress) -> Path:
        """The image of the process that holds a pod's namespaces (``catatonit -P``)."""
        program = find_command("catatonit")
        if program is None:
            raise LocalClusterError("catatonit is not installed: apt-get install catatonit")
        content = Path(program).read_bytes()
        image = ImageConfiguration(
            name=PAUSE_IMAGE, machine=platform.machine(), entrypoint=("/catatonit", "-P")
        )
        return self.ensure(
            "pause",
            digest(repr(image).encode(), content),
            lambda target: pack_files(target, {"catatonit": content}, image),
            progress,
        )

    def ensure(
        self, name: str, key: str, make: Callable[[Path], object], progress: Progress
    ) -> Path:
        """The archive ``<name>-<key>.tar``, made when it is missing; older ones are dropped."""
        target = self._directory / f"{name}-{key}.tar"
        if not target.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            with progress.step(f"making image {name}"):
                make(target)
            for old in self._directory.glob(f"{name}-*.tar"):
                if old != target:
                    old.unlink(missing_ok=True)
        return target


def digest(*parts: bytes) -> str:
    """A short hash of parts, each with its length, so that no two lists give the same text."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()[:16]
