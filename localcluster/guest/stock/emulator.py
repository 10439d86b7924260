"""The emulator of a machine with two CPUs whose clocks count instructions.

Before version 8.1 QEMU gave the first CPU all instructions up to the next timer, and the second one
what was left of them: nothing beside a CPU that spins. Linux 6.1 spins while it starts a CPU.
"""

import re
import shutil
import tempfile
from pathlib import Path

from localcluster.errors import CommandError, LocalClusterError
from localcluster.guest.apt import AptView, find_source
from localcluster.guest.qemu import INSTALLED, PROGRAM, Emulator
from localcluster.host.commands import run
from localcluster.host.files import locked
from localcluster.progress import Progress

SHARES_EVENLY = (8, 1)
"""The first QEMU whose counted CPUs get equal parts of the time up to a timer."""
_PACKAGES = ("qemu-system-x86", "qemu-system-data", "seabios")
_FIRMWARE = ("usr/share/qemu", "usr/share/seabios")
_OTHER_FIRMWARE = Path("/usr/share/qemu")
"""The installed QEMU's: option ROMs are in packages that it needs as well, in one version."""
_VERSION = re.compile(r"^QEMU emulator version (\d+)\.(\d+)", re.MULTILINE)


def parse_version(said: str) -> tuple[int, int] | None:
    """Such as (7, 2), out of what ``--version`` prints; None where it is not QEMU's."""
    match = _VERSION.search(said)
    return (int(match[1]), int(match[2])) if match else None


def ensure_emulator(cache: Path, *, progress: Progress) -> Emulator:
    """The installed one where it is new enough, else that of Debian's backports, kept in ``cache``.

    Nothing is installed: the backports' program runs from the cache, with the libraries that the
    installed one needs. Raises ``LocalClusterError`` where neither is there, or it does not start.
    """
    if is_new_enough(INSTALLED):
        return INSTALLED
    directory = cache / "guests" / "emulator"
    with locked(directory.with_suffix(".lock")):
        found = _emulator(directory)
        if not is_new_enough(found):
            with progress.step("fetching QEMU of Debian's backports"):
                _fetch(directory)
    return found


def is_new_enough(emulator: Emulator) -> bool:
    """Whether it starts here, and shares evenly."""
    try:
        said = run([emulator.program, "--version"])
    except (CommandError, OSError):
        return False
    version = parse_version(said)
    return version is not None and version >= SHARES_EVENLY


def _emulator(directory: Path) -> Emulator:
    return Emulator(
        program=str(directory / "usr/bin" / PROGRAM),
        firmware=(*(directory / name for name in _FIRMWARE), _OTHER_FIRMWARE),
    )


def _fetch(directory: Path) -> None:
    """Put the packages' files into ``directory``, in the place of whatever was there; or raise."""
    wanted = "two CPUs that count instructions need QEMU {}.{} or newer".format(*SHARES_EVENLY)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetch-") as scratch:
        files = Path(scratch) / "files"
        try:
            view = AptView(find_source("-backports"), Path(scratch) / "apt")
            view.update()
            for package in _PACKAGES:
                view.extract(package, files)
        except LocalClusterError as error:
            raise LocalClusterError(f"{wanted}, and it could not be fetched: {error}") from error
        if not is_new_enough(_emulator(files)):
            raise LocalClusterError(f"{wanted}; that of Debian's backports is older, or fails here")
        if directory.exists():
            shutil.rmtree(directory)
        files.rename(directory)
