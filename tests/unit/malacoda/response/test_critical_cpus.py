"""On which CPUs critical threads may run, from a /proc in a directory."""

from pathlib import Path

import pytest

from daemons.malacoda.response.critical_cpus import CriticalCpus
from k40s.units import Nanoseconds
from tests.fakes.malacoda.kernel import uid
from tests.fakes.malacoda.world import FakeClock

A, B = uid(1), uid(2)
FIFO, DEADLINE, OTHER = 1, 6, 0


def add(proc: Path, pod: str, threads: dict[int, tuple[int, str]], *, v2: bool = False) -> None:
    """A process of a pod: policy and allowed CPUs of each thread."""
    pid = min(threads)
    line = f"0::/kubepods/burstable/pod{pod}/c" if v2 else f"3:cpu:/kubepods/pod{pod}/c"
    for thread, (policy, cpus) in threads.items():
        directory = proc / str(pid) / "task" / str(thread)
        directory.mkdir(parents=True)
        columns = ["S", *["0"] * 37, str(policy), "0"]
        (directory / "stat").write_text(f"{thread} (a) b) {' '.join(columns)}\n")
        (directory / "status").write_text(f"Name:\ta\nCpus_allowed_list:\t{cpus}\nx:\t1\n")
    (proc / str(pid) / "cgroup").write_text(f"{line}\n")


def find(proc: Path, *pods: str, real_time: tuple[str, ...] = ()) -> frozenset[int] | None:
    return CriticalCpus(clock=FakeClock(), root=proc).find(pods, real_time=real_time)


@pytest.mark.parametrize("v2", [False, True])
def test_every_thread_of_a_pod_counts(tmp_path: Path, v2: bool) -> None:
    add(tmp_path, A, {10: (OTHER, "0"), 11: (OTHER, "2-3")}, v2=v2)
    add(tmp_path, B, {20: (OTHER, "5")}, v2=v2)
    (tmp_path / "cpuinfo").write_text("no process")

    assert find(tmp_path, A) == {0, 2, 3}
    assert find(tmp_path, A, B) == {0, 2, 3, 5}


def test_of_a_real_time_pod_only_its_real_time_threads_count(tmp_path: Path) -> None:
    add(tmp_path, A, {10: (OTHER, "0-3"), 11: (FIFO, "2")})

    assert find(tmp_path, A, real_time=(A,)) == {2}


def test_an_unpinned_deadline_task_may_run_on_every_cpu(tmp_path: Path) -> None:
    add(tmp_path, A, {10: (OTHER, "1"), 11: (DEADLINE, "0-3")})

    assert find(tmp_path, A, real_time=(A,)) == {0, 1, 2, 3}


def test_a_pod_of_which_no_thread_counts_is_not_known(tmp_path: Path) -> None:
    add(tmp_path, A, {10: (OTHER, "1")})

    assert find(tmp_path, A, B) is None
    assert find(tmp_path, A, real_time=(A,)) is None
    assert find(tmp_path / "none", A) is None


def test_a_scan_that_takes_too_long_tells_nothing(tmp_path: Path) -> None:
    add(tmp_path, A, {10: (OTHER, "1")})
    cpus = CriticalCpus(clock=FakeClock(), root=tmp_path, longest=Nanoseconds(0))

    assert cpus.find([A]) is None


def test_a_list_that_is_none_tells_nothing(tmp_path: Path) -> None:
    add(tmp_path, A, {10: (OTHER, "all")})

    assert find(tmp_path, A) is None


def test_a_process_of_many_threads_cannot_make_a_scan_last(tmp_path: Path) -> None:
    add(tmp_path, A, dict.fromkeys(range(10, 60), (OTHER, "1")))
    looks = 0

    def clock() -> int:
        nonlocal looks
        looks += 1
        return looks

    cpus = CriticalCpus(clock=clock, root=tmp_path, longest=Nanoseconds(20))

    assert cpus.find([A]) is None
    assert looks < 30
