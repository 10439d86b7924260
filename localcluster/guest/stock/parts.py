"""What changes with the checkout: its sources, and the cache of what is built from them."""

import os
import shutil
import tarfile
from pathlib import Path

from localcluster.guest.disks import DiskStore
from localcluster.host.commands import run
from localcluster.images.binaries import Binaries, ensure_binaries
from localcluster.images.cluster_images import ImageStore, digest
from localcluster.progress import Progress

_ROOM = 1 << 30
_BLOCK = 1 << 20


def ensure_cache_disk(store: DiskStore, *, cache: Path, project: Path, progress: Progress) -> Path:
    """A disk with the programs and images that the demo of ``project`` takes from the cache.

    What is missing is built here, as the demo would.
    """
    binaries = ensure_binaries(None, cache=cache, progress=progress)
    archives = _archives(ImageStore(cache, progress=progress), binaries, project)
    stamps = [path.read_bytes() for path in sorted(binaries.directory.glob("*.sha256"))]
    key = digest([*stamps, *(archive.name.encode() for archive in archives)])

    def fill(root: Path) -> None:
        for path in (*binaries.directory.iterdir(), *archives):
            target = root / path.relative_to(cache)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(path, target)

    return store.ensure("stock-cache", key, fill, room=_ROOM)


def write_checkout(target: Path, project: Path, *, size: int = 0) -> None:
    """A tar archive of all files of a checkout that git does not ignore, ``size`` bytes at least.

    It is written in place: a guest that has it as its disk sees the new content.
    """
    words = ("git", "-C", project, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = sorted(set(filter(None, run(words).split("\0"))))
    with target.open("r+b" if target.exists() else "w+b") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name in names:
                path = project / name
                if path.is_file() and not path.is_symlink():
                    tar.add(path, arcname=name, recursive=False)
        written = file.tell()
        file.truncate(max(size, -(-written // _BLOCK) * _BLOCK))


def _archives(store: ImageStore, binaries: Binaries, project: Path) -> list[Path]:
    return [
        store.pause(),
        store.python(),
        store.workload(),
        store.k40s(project),
        store.scheduler(binaries),
    ]


def _link(path: Path, target: Path) -> None:
    """The same file a second time; a copy where that cannot be."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)
