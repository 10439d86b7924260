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
_OWN_FIRMWARE = Path("/usr/share/qemu")
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
    if _is_new_enough(INSTALLED):
        return INSTALLED
    directory = cache / "guests" / "emulator"
    with locked(directory.with_suffix(".lock")):
        if not directory.exists():
            with progress.step("fetching QEMU of Debian's backports"):
                _fetch(directory)
    found = Emulator(
        program=str(directory / "usr/bin" / PROGRAM),
        firmware=(*(directory / name for name in _FIRMWARE), _OWN_FIRMWARE),
    )
    if not _is_new_enough(found):
        shutil.rmtree(directory)
        raise LocalClusterError(f"{_wanted()}; that of Debian's backports is older, too")
    return found


def _wanted() -> str:
    return "two CPUs that count instructions need QEMU {}.{} or newer".format(*SHARES_EVENLY)


def _is_new_enough(emulator: Emulator) -> bool:
    version = parse_version(run([emulator.program, "--version"]))
    return version is not None and version >= SHARES_EVENLY


def _fetch(directory: Path) -> None:
    """Put the packages' files into ``directory``, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetch-") as scratch:
        view = AptView(find_source("-backports"), Path(scratch) / "apt")
        files = Path(scratch) / "files"
        try:
            view.update()
            for package in _PACKAGES:
                view.extract(package, files)
        except CommandError as error:
            raise LocalClusterError(f"{_wanted()}, and it could not be fetched: {error}") from error
        files.rename(directory)
