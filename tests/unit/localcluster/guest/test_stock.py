"""A Debian machine as it comes: what is on its disks, and what is made of what it says."""

import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from localcluster.guest.qemu import Emulation, command
from localcluster.guest.stock.console import follow
from localcluster.guest.stock.debian import PACKAGES, own_files, recipe
from localcluster.guest.stock.machine import parse_status
from localcluster.guest.stock.parts import write_checkout
from localcluster.host.packages import COMMANDS

PROJECT = Path(__file__).parents[4]
NOT_FOR_THE_DEMO = {"prometheus", "qemu-system-x86"}
OF_EVERY_DEBIAN = {"util-linux", "mount"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "k40s").mkdir(parents=True)
    (project / ".gitignore").write_text("/.venv\n")
    (project / "k40s" / "a.py").write_text("A = 1\n")
    (project / ".venv").mkdir()
    (project / ".venv" / "python").write_text("ignored")
    subprocess.run(["git", "init", "-q", project], check=True)
    return project


def test_it_has_the_packages_that_users_are_told_to_install() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    named = makefile.partition("PACKAGES := ")[2].partition("\n#")[0].replace("\\", " ").split()

    assert set(PACKAGES) == set(named) - NOT_FOR_THE_DEMO


def test_it_has_the_packages_that_a_cluster_asks_for() -> None:
    assert set(COMMANDS.values()) - OF_EVERY_DEBIAN <= set(PACKAGES)


def test_it_is_configured_by_its_own_scripts_and_started_by_systemd() -> None:
    words = recipe()

    assert "--variant=minbase" in words
    assert any(
        "systemd-sysv" in word.removeprefix("--include=").split(",")
        for word in words
        if word.startswith("--include=")
    )


def test_the_checkout_is_what_git_does_not_ignore(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "checkout.tar"

    write_checkout(target, checkout)

    with tarfile.open(target) as tar:
        assert sorted(tar.getnames()) == [".gitignore", "k40s/a.py"]


def test_a_file_that_was_deleted_is_left_out(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "checkout.tar"
    subprocess.run(["git", "-C", checkout, "add", "."], check=True)
    (checkout / "k40s" / "a.py").unlink()

    write_checkout(target, checkout)

    with tarfile.open(target) as tar:
        assert tar.getnames() == [".gitignore"]


def test_a_running_guest_sees_a_new_checkout_in_the_same_file(
    checkout: Path, tmp_path: Path
) -> None:
    target = tmp_path / "checkout.tar"
    write_checkout(target, checkout, size=3 << 20)
    file, size = target.stat().st_ino, target.stat().st_size
    (checkout / "k40s" / "b.py").write_text("B = 2\n")

    write_checkout(target, checkout, size=3 << 20)

    assert (target.stat().st_ino, target.stat().st_size, size) == (file, 3 << 20, 3 << 20)
    with tarfile.open(target) as tar:
        assert "k40s/b.py" in tar.getnames()


def test_nothing_but_the_command_writes_to_the_console() -> None:
    files = own_files("k40s demo && true")

    assert files["etc/k40s-stock/command"] == (b"k40s demo && true\n", 0o644)
    assert files["etc/systemd/system/serial-getty@ttyS0.service"][0] == b""
    assert b">/dev/console" in files["etc/k40s-stock/run"][0]


def test_two_cpus_may_count_instructions() -> None:
    counted = Emulation(kernel=Path("/k"), initrd=Path("/i"), memory=1, counted=True)
    words = command(counted)

    assert words[words.index("-smp") + 1] == "2"
    assert words[words.index("-icount") + 1] == "shift=1,sleep=off"
    assert "shift=0,sleep=off" in command(replace(counted, fast=True))
    assert "-icount" not in command(replace(counted, counted=False))


@pytest.mark.parametrize(
    ("said", "status"),
    [("status 0\n", 0), ("status 3\r\n", 3), ("", None), ("status \n", None), ("noise\n", None)],
)
def test_the_status_is_the_commands(said: str, status: int | None) -> None:
    assert parse_status(said) == status


def test_a_shells_line_comes_after_the_results() -> None:
    emulation = Emulation(
        kernel=Path("/k"), initrd=Path("/i"), memory=1, results=Path("/r"), socket=Path("/s")
    )

    words = command(emulation)

    serials = [words[at + 1] for at, word in enumerate(words) if word == "-serial"]
    assert serials == ["stdio", "file:/r", "unix:/s,server=on,wait=off"]


def test_what_is_said_is_shown_and_kept(tmp_path: Path) -> None:
    shown: list[str] = []
    log = tmp_path / "log"
    program = "import sys; print('out'); print('err', file=sys.stderr)"

    assert follow([sys.executable, "-u", "-c", program], log=log, seconds=60, show=shown.append)
    assert "".join(shown) == log.read_text() == "out\nerr\n"


def test_what_goes_on_for_too_long_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"

    assert not follow([sys.executable, "-c", program], log=log, seconds=3, show=lambda _text: None)
    assert not any(Path(f"/proc/{pid}").exists() for pid in log.read_text().split())


def test_an_end_shortly_after_the_output_is_no_failure(tmp_path: Path) -> None:
    assert follow(["true"], log=tmp_path / "log", seconds=60, show=lambda _text: None)
