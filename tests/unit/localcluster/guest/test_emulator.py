"""Which QEMU emulates two CPUs that count instructions."""

from pathlib import Path

import pytest

from localcluster.errors import CommandError, LocalClusterError
from localcluster.guest.apt import AptSource
from localcluster.guest.qemu import INSTALLED, PROGRAM, Emulation, Emulator, command
from localcluster.guest.stock import emulator
from localcluster.guest.stock.emulator import ensure_emulator, is_new_enough, parse_version
from localcluster.progress import Progress

OLD = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"
NEW = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)"
SILENT = Progress(lambda _: None)


def program(path: Path, said: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return path


class Backports:
    """A suite whose packages have a QEMU that says so."""

    def __init__(self, said: str = NEW) -> None:
        self.said = said
        self.fetched: list[str] = []

    def __call__(self, _source: AptSource, _directory: Path) -> "Backports":
        return self

    def update(self) -> None:
        if not self.said:
            raise CommandError("apt-get update: no such suite")

    def extract(self, package: str, target: Path) -> None:
        self.fetched.append(package)
        program(target / "usr/bin" / PROGRAM, self.said)


@pytest.fixture
def backports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Backports:
    """With an installed QEMU that is too old."""
    found = Backports()
    old = Emulator(program=str(program(tmp_path / "installed", OLD)))
    monkeypatch.setattr(emulator, "INSTALLED", old)
    monkeypatch.setattr(emulator, "AptView", found)
    monkeypatch.setattr(
        emulator, "find_source", lambda suffix: AptSource(uri="", suite=suffix, signed_by="")
    )
    return found


@pytest.mark.parametrize(
    ("said", "version"),
    [(f"{OLD}\nCopyright", (7, 2)), (NEW, (10, 0)), ("bochs 2.7", None), ("", None)],
)
def test_the_version_is_read(said: str, version: tuple[int, int] | None) -> None:
    assert parse_version(said) == version


def test_an_installed_one_that_is_new_enough_is_taken(
    monkeypatch: pytest.MonkeyPatch, backports: Backports, tmp_path: Path
) -> None:
    new = Emulator(program=str(program(tmp_path / "new", NEW)))
    monkeypatch.setattr(emulator, "INSTALLED", new)

    assert ensure_emulator(tmp_path / "cache", progress=SILENT) == new
    assert not backports.fetched


def test_that_of_the_backports_is_fetched_once_and_has_its_own_firmware(
    backports: Backports, tmp_path: Path
) -> None:
    found = [ensure_emulator(tmp_path, progress=SILENT) for _ in range(2)]

    assert backports.fetched == ["qemu-system-x86", "qemu-system-data", "seabios"]
    assert found[0] == found[1]
    assert is_new_enough(found[0])
    words = command(Emulation(kernel=Path("/k"), initrd=Path("/i"), memory=1), found[0])
    assert words[0] == str(tmp_path / "guests/emulator/usr/bin" / PROGRAM)
    firmware = [words[at + 1] for at, word in enumerate(words) if word == "-L"]
    own = [str(tmp_path / "guests/emulator/usr/share" / name) for name in ("qemu", "seabios")]
    assert firmware == [*own, "/usr/share/qemu"], "option ROMs are the installed one's"
    assert "-L" not in command(Emulation(kernel=Path("/k"), initrd=Path("/i"), memory=1), INSTALLED)


@pytest.mark.parametrize("damage", ["", "#!/no/such/interpreter\n"])
def test_a_damaged_one_is_fetched_again(backports: Backports, tmp_path: Path, damage: str) -> None:
    kept = Path(ensure_emulator(tmp_path, progress=SILENT).program)
    kept.unlink()
    if damage:
        kept.write_text(damage)

    assert is_new_enough(ensure_emulator(tmp_path, progress=SILENT))
    assert len(backports.fetched) == 6


@pytest.mark.parametrize(
    ("said", "problem"),
    [("", "could not be fetched: apt-get update: no such suite"), (OLD, "is older, or fails here")],
)
def test_where_there_is_none_it_is_said_what_is_needed(
    backports: Backports, tmp_path: Path, said: str, problem: str
) -> None:
    backports.said = said

    with pytest.raises(LocalClusterError, match=f"need QEMU 8.1 or newer.*{problem}"):
        ensure_emulator(tmp_path, progress=SILENT)
    assert not (tmp_path / "guests/emulator").exists()
    assert not list((tmp_path / "guests").glob("fetch-*"))
