from pathlib import Path

import pytest

from daemons.malacoda.actuator.kernel import LinuxCgroups


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "cgroup"
    (inside / "cpu/kubepods").mkdir(parents=True)
    (inside / "cpu/kubepods/cpu.max").write_text("max 100000\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/cpu.max").write_text("mine")
    (inside / "cpu/link").symlink_to(tmp_path / "secret")
    (inside / "cpu/kubepods/cpu.link").symlink_to(tmp_path / "secret/cpu.max")
    return inside


def test_a_file_is_read_and_written_below_the_root(root: Path) -> None:
    files = LinuxCgroups(root)
    files.write("cpu/kubepods/cpu.max", "500 100000")

    assert files.read("cpu/kubepods/cpu.max") == "500 100000"
    assert files.directories("cpu") == ("kubepods",)
    assert files.directories("") == ("cpu",)


@pytest.mark.parametrize("path", ["cpu/link/cpu.max", "cpu/kubepods/cpu.link"])
def test_no_link_is_followed_out(root: Path, path: str) -> None:
    files = LinuxCgroups(root)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        files.read(path)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        files.write(path, "x")
    assert (root.parent / "secret/cpu.max").read_text() == "mine"


@pytest.mark.parametrize("path", ["../secret/cpu.max", "cpu/./x", "/etc/passwd", "cpu//x"])
def test_no_path_leads_out(root: Path, path: str) -> None:
    with pytest.raises(ValueError, match="not a path below the cgroups"):
        LinuxCgroups(root).read(path)


def test_a_file_that_is_not_there_is_not_made(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LinuxCgroups(root).write("cpu/kubepods/cpu.shares", "1")


def test_a_v1_freezer_reads_as_what_was_asked_of_it(root: Path) -> None:
    pod = root / "cpu/kubepods"
    (pod / "freezer.state").write_text("FREEZING")
    (pod / "freezer.self_freezing").write_text("1\n")
    frozen = LinuxCgroups(root).read("cpu/kubepods/freezer.state")
    (pod / "freezer.self_freezing").write_text("0\n")

    assert (frozen, LinuxCgroups(root).read("cpu/kubepods/freezer.state")) == ("FROZEN", "THAWED")
