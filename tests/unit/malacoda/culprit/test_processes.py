"""What is told of a suspect's processes, from a /proc in a directory."""

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemons.malacoda.culprit.processes import PodProcesses
from k40s.units import Nanoseconds
from tests.fakes.malacoda.kernel import uid
from tests.fakes.malacoda.world import FakeClock

NOISY = uid(1)
FIELDS = "R 1 1 1 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0 {threads} 0 500 0 0"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "stat").write_text("cpu 1 0 1 1 0 0 0 0 0 0\nbtime 1000\n")
    return tmp_path


@pytest.fixture(autouse=True)
def _the_real_one_again() -> Iterator[None]:
    yield
    psutil.PROCFS_PATH = "/proc"


def add(proc: Path, pid: int, name: str, pod: str, *, seconds: int, threads: int = 1) -> Path:
    directory = proc / str(pid)
    (directory / "fd").mkdir(parents=True)
    text = FIELDS.format(user=seconds * 100, system=0, threads=threads)
    (directory / "stat").write_text(f"{pid} ({name}) {text} {'0 ' * 30}\n")
    (directory / "statm").write_text("100 50 1 1 0 1 0\n")
    (directory / "status").write_text(f"Name:\t{name}\nThreads:\t{threads}\n")
    (directory / "cmdline").write_text(f"{name}\0")
    (directory / "io").write_text(
        "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n"
    )
    (directory / "cgroup").write_text(f"3:cpu:/kubepods/burstable/pod{pod}/{'c' * 64}\n")
    return directory


def test_the_largest_processes_of_the_pod_are_told_of(proc: Path) -> None:
    for pid, seconds in ((11, 3), (12, 9), (13, 1), (14, 5)):
        add(proc, pid, f"stress-{pid}", NOISY, seconds=seconds, threads=pid)
    add(proc, 15, "other", uid(2), seconds=99)
    (proc / "12" / "fd" / "0").symlink_to("/dev/null")

    found = PodProcesses(clock=FakeClock(), root=proc).find(NOISY)

    assert [one["pid"] for one in found] == [12, 14, 11]
    assert found[0] == {
        "pid": 12,
        "name": "stress-12",
        "threads": 12,
        "cpu_s": 9.0,
        "resident": 50 * resource.getpagesize(),
        "open_files": 1,
        "written": 6,
    }


def test_what_may_not_be_read_is_not_known(proc: Path) -> None:
    directory = add(proc, 11, "stress", NOISY, seconds=1)
    (directory / "io").unlink()
    (directory / "fd").rmdir()

    (found,) = PodProcesses(clock=FakeClock(), root=proc).find(NOISY)

    assert (found["name"], found["open_files"], found["written"]) == ("stress", None, None)


def test_one_that_ends_meanwhile_is_left_out(proc: Path) -> None:
    (add(proc, 11, "stress", NOISY, seconds=1) / "stat").unlink()

    assert PodProcesses(clock=FakeClock(), root=proc).find(NOISY) == []


def test_a_search_that_takes_too_long_is_given_up(proc: Path) -> None:
    add(proc, 11, "stress", NOISY, seconds=1)

    assert PodProcesses(clock=FakeClock(), root=proc, longest=Nanoseconds(0)).find(NOISY) == []


def test_a_file_that_psutil_does_not_understand_keeps_no_suspect_unnamed(proc: Path) -> None:
    directory = add(proc, 11, "stress", NOISY, seconds=1)
    (directory / "io").write_text("")

    (found,) = PodProcesses(clock=FakeClock(), root=proc).find(NOISY)

    assert (found["name"], found["written"]) == ("stress", None)
