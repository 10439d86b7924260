"""Which pods' threads are all real-time, told from a /proc in ordinary files."""

from pathlib import Path

import pytest

from daemons.malacoda.harm.threads import RealTimePods
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.malacoda.cgroups import uid
from tests.fakes.malacoda.world import FakeClock

A, B = uid(1), uid(2)
OTHER, FIFO, RR, BATCH, IDLE, DEADLINE = 0, 1, 2, 3, 5, 6


class Proc:
    """Processes of pods; ``slices`` counts how often a thread has run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.pods = RealTimePods(clock=self.clock, root=root)
        (root / "1").mkdir()
        (root / "1/cgroup").write_text("0::/init.scope\n")
        (root / "self").mkdir()

    def thread(
        self,
        pod: str,
        *,
        pid: int,
        policy: int,
        tid: int | None = None,
        slices: int = 5,
        cgroup: str = "0::/kubepods/burstable/pod{pod}/{container}\n",
    ) -> None:
        process = self.root / str(pid)
        task = process / "task" / str(tid or pid)
        task.mkdir(parents=True, exist_ok=True)
        (process / "cgroup").write_text(cgroup.format(pod=pod, container="c" * 64))
        columns = ["S", *["0"] * 37, str(policy), *["0"] * 10]
        (task / "stat").write_text(f"{pid} (a) thread) {' '.join(columns)}\n")
        (task / "schedstat").write_text(f"{slices * 1000} 77 {slices}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


@pytest.mark.parametrize("policy", [FIFO, RR, DEADLINE])
def test_a_pod_of_real_time_threads_is_found_at_once(proc: Proc, policy: int) -> None:
    proc.thread(A, pid=7, policy=policy)
    proc.thread(B, pid=8, policy=OTHER)

    assert proc.pods.find([A, B]) == {A}


@pytest.mark.parametrize("policy", [OTHER, BATCH, IDLE])
def test_an_ordinary_thread_counts_as_running_until_it_was_seen_to_sleep(
    proc: Proc, policy: int
) -> None:
    proc.thread(A, pid=7, policy=policy)
    proc.thread(A, pid=7, tid=9, policy=FIFO)

    found = [proc.pods.find([A]) for _ in range(2)]
    proc.thread(A, pid=7, policy=policy, slices=6)
    found += [proc.pods.find([A]) for _ in range(2)]

    assert found == [frozenset(), {A}, frozenset(), {A}]


def test_a_pod_whose_ordinary_threads_sleep_and_that_has_no_other_has_no_gauge(proc: Proc) -> None:
    proc.thread(A, pid=7, policy=OTHER)

    assert [proc.pods.find([A]) for _ in range(3)] == [frozenset()] * 3


@pytest.mark.parametrize(
    "cgroup",
    [
        "4:cpu,cpuacct:/kubepods/pod{pod}/{container}\n0::/\n",
        "4:cpu,cpuacct:/kubepods/pod{pod}/{container}\n",
        "0::/system.slice\n",
    ],
)
def test_threads_that_are_not_in_the_pods_cgroup_of_v2_tell_nothing(
    proc: Proc, cgroup: str
) -> None:
    proc.thread(A, pid=7, policy=FIFO, cgroup=cgroup)

    assert proc.pods.find([A]) == frozenset()


def test_the_systemd_drivers_names_and_a_pods_own_cgroups_are_understood(proc: Proc) -> None:
    name = f"kubepods-burstable-pod{A.replace('-', '_')}.slice"
    proc.thread(A, pid=7, policy=FIFO, cgroup=f"0::/kubepods.slice/{name}/x.scope/pod{B}\n")

    assert proc.pods.find([A, B]) == {A}


def test_pods_that_nobody_asks_for_are_left_out(proc: Proc) -> None:
    proc.thread(A, pid=7, policy=FIFO)
    proc.thread(B, pid=8, policy=FIFO)

    assert proc.pods.find([B]) == {B}
    assert proc.pods.find([]) == frozenset()


def test_a_pod_of_very_many_threads_has_no_gauge(proc: Proc) -> None:
    for tid in range(7, 72):
        proc.thread(A, pid=7, tid=tid, policy=FIFO)

    assert proc.pods.find([A]) == frozenset()


def test_a_look_that_takes_too_long_is_given_up_and_counted(proc: Proc) -> None:
    proc.thread(A, pid=7, policy=FIFO)
    slow = RealTimePods(
        clock=iter(range(0, 10**9, 10**7)).__next__,
        root=proc.root,
        longest=Nanoseconds(NS_PER_MS),
    )

    assert slow.find([A]) == frozenset()
    assert slow.missed == 1


def test_where_there_is_no_proc_nothing_is_found_and_it_is_counted(tmp_path: Path) -> None:
    pods = RealTimePods(clock=FakeClock(), root=tmp_path / "none")

    assert pods.find([A]) == frozenset()
    assert pods.missed == 1


def test_a_thread_that_has_ended_meanwhile_does_not_count(proc: Proc) -> None:
    proc.thread(A, pid=7, policy=FIFO)
    proc.thread(A, pid=7, tid=9, policy=OTHER)
    (proc.root / "7/task/9/stat").write_text("")

    assert proc.pods.find([A]) == {A}


def test_one_whose_slices_cannot_be_read_may_have_run(proc: Proc) -> None:
    proc.thread(A, pid=7, policy=FIFO)
    proc.thread(A, pid=7, tid=9, policy=OTHER)
    (proc.root / "7/task/9/schedstat").unlink()

    assert [proc.pods.find([A]) for _ in range(3)] == [frozenset()] * 3
