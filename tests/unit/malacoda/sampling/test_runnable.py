import itertools
from pathlib import Path

import pytest

from daemons.malacoda.sampling.runnable import RunnableThreads
from k40s.units import NS_PER_MS, NS_PER_S
from tests.fakes.malacoda.world import FakeClock


class Proc:
    """A /proc with threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "thread-self").symlink_to("1/task/1")
        (root / "meminfo").write_text("")
        self.process(1, {1: ("R", 1)})

    def process(self, pid: int, threads: dict[int, tuple[str, int]], allowed: str = "") -> None:
        """``threads`` tells state and CPU by TID; they may run nowhere else, or on ``allowed``."""
        for thread, (state, cpu) in threads.items():
            text = f"{thread} (a) b) {state} " + "0 " * 16
            text += f"{len(threads)} " + "0 " * 18 + f"{cpu} 0 0\n"
            (self.root / f"{pid}/task/{thread}").mkdir(parents=True, exist_ok=True)
            (self.root / f"{pid}/task/{thread}/stat").write_text(text)
            (self.root / f"{pid}/task/{thread}/status").write_text(
                f"Name:\ta\nCpus_allowed:\t3\nCpus_allowed_list:\t{allowed or cpu}\nMems:\t1\n"
            )
            if thread == pid:
                (self.root / f"{pid}/stat").write_text(text)

    def end(self, pid: int) -> None:
        for path in sorted(self.root.glob(f"{pid}/**/*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()


def unbounded(root: Path, *cpus: int) -> RunnableThreads:
    """Scans whenever it is asked."""
    return RunnableThreads(cpus=set(cpus), root=root, spent=lambda: 0)


def test_a_thread_that_may_run_elsewhere_is_not_the_nodes(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    proc.process(20, {20: ("R", 1)}, allowed="0-1")

    assert unbounded(tmp_path, 1).count(2) == 1
    assert unbounded(tmp_path, 0, 1, 2).count(2) == 2


def test_a_thread_that_ends_before_it_says_where_it_may_run_is_not_the_nodes(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/task/10/status").unlink()

    assert unbounded(tmp_path, 1).count(1) == 0


def test_counts_the_runnable_threads_of_some_cpus_but_its_own(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 0)})
    proc.process(20, {20: ("S", 1), 21: ("R", 1), 22: ("R", 0)})
    proc.process(30, {30: ("R", 1)})

    assert unbounded(tmp_path, 1).count(4) == 2
    assert unbounded(tmp_path, 0, 1).count(4) == 4


def test_those_it_does_not_see_are_spread_like_those_it_sees(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 0)})
    proc.process(20, {20: ("R", 1)})

    assert unbounded(tmp_path, 1).count(8) == 4


def test_it_says_nothing_where_it_sees_too_few(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    assert unbounded(tmp_path, 1).count(8) is None

    proc.process(20, {20: ("R", 1)})

    assert unbounded(tmp_path, 1).count(8) is None


def test_it_looks_first_where_threads_were_runnable_and_stops_when_all_are_found(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    threads = unbounded(tmp_path, 1)
    assert threads.count(1) == 1

    proc.process(5, {5: ("R", 0)})

    assert threads.count(1) == 1


def test_threads_may_end_while_it_looks(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    proc.process(20, {20: ("R", 1)})
    threads = unbounded(tmp_path, 1)
    assert threads.count(2) == 2

    proc.end(20)

    assert threads.count(1) == 1


def test_a_process_whose_threads_are_gone_is_passed_over(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    proc.process(20, {20: ("R", 1), 21: ("R", 1)})
    for path in sorted((tmp_path / "20/task").glob("**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (tmp_path / "20/task").rmdir()

    assert unbounded(tmp_path, 1).count(1) == 1


def test_a_proc_that_cannot_be_read_gives_nothing(tmp_path: Path) -> None:
    assert unbounded(tmp_path / "absent", 1).count(3) is None


def test_a_stat_that_is_cut_short_gives_nothing(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/stat").write_text("10 (a) R 0 0\n")

    assert unbounded(tmp_path, 1).count(1) is None


def test_counts_by_the_groups_that_threads_lie_in(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    for pid, path in ((10, "/x/a/deep"), (20, "/x/a"), (30, "/x/b"), (40, "/other")):
        proc.process(pid, {pid: ("R", 1)})
        (tmp_path / f"{pid}/task/{pid}/cgroup").write_text(f"3:cpu:/\n0::{path}\n")
    proc.process(50, {50: ("R", 0)})

    counted = unbounded(tmp_path, 1).count_by_group(5, ["a", "b", "c"])

    assert counted is not None
    assert (counted.node, counted.groups) == (4, {"a": 2, "b": 1, "c": 0})


def test_a_thread_that_ends_before_it_shows_its_group_is_the_nodes_and_no_groups(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    for pid in (10, 20):
        proc.process(pid, {pid: ("R", 1)})
    (tmp_path / "10/task/10/cgroup").write_text("0::/a\n")

    counted = unbounded(tmp_path, 1).count_by_group(4, ["a"])

    assert counted is not None
    assert (counted.node, counted.groups) == (4, {"a": 1})


def test_groups_are_not_counted_where_it_sees_too_few(tmp_path: Path) -> None:
    Proc(tmp_path)
    assert unbounded(tmp_path, 1).count_by_group(8, ["a"]) is None
    assert unbounded(tmp_path / "x", 1).count_by_group(8, ["a"]) is None


def test_threads_that_came_and_went_are_no_reason_to_know_nothing(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/task/10/cgroup").write_text("0::/a\n")
    proc.process(2, {2: ("S", 0)})
    (tmp_path / "2/stat").write_text((tmp_path / "2/stat").read_text().replace("a) b", "kthreadd"))

    counted = unbounded(tmp_path, 1).count_by_group(8, ["a", "b"])

    assert counted is not None
    assert (counted.node, counted.groups) == (1, {"a": 1, "b": 0})


def test_many_supplementary_groups_do_not_hide_a_thread(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    status = tmp_path / "10/task/10/status"
    groups = " ".join(map(str, range(1_000_000, 1_065_536)))
    status.write_text(f"Groups:\t{groups}\n{status.read_text()}")

    assert unbounded(tmp_path, 1).count(1) == 1


def test_a_thread_counts_in_the_outermost_of_the_groups_alone(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/task/10/cgroup").write_text("2:cpu:/x/a/deep/b\n1:pids:/x/a/b\n")

    counted = unbounded(tmp_path, 1).count_by_group(1, ["a", "b"])

    assert counted is not None
    assert counted.groups == {"a": 1, "b": 0}


def test_it_gives_up_on_what_costs_too_much_and_goes_on_from_what_it_found(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    proc.process(10, dict.fromkeys(range(10, 30), ("S", 1)) | {15: ("R", 1)})
    spent = itertools.count(0, 5 * NS_PER_MS)
    clock = FakeClock()
    threads = RunnableThreads(cpus={1}, root=tmp_path, spent=lambda: next(spent), clock=clock)

    assert threads.count(3) is None
    assert threads.count_by_group(3, ["a"]) is None

    clock.pass_seconds(10)
    proc.end(10)
    proc.process(10, {10: ("R", 1)})

    assert threads.count(1) == 1


def test_a_process_with_thousands_of_threads_hides_its_own_alone(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    (tmp_path / "2").mkdir()
    (tmp_path / "2/stat").write_text("2 (kthreadd) S " + "0 " * 16 + "1 " + "0 " * 18 + "0 0\n")
    proc.process(10, {thread: ("RS"[thread < 1005], 1) for thread in range(10, 1010)})
    proc.process(8000, {8000: ("R", 1), 8001: ("R", 1)})
    for thread in (8000, 8001):
        (tmp_path / f"8000/task/{thread}/cgroup").write_text("0::/a\n")
    spent = itertools.count(0, NS_PER_MS)
    threads = RunnableThreads(cpus={1}, root=tmp_path, spent=lambda: next(spent))

    counted = threads.count_by_group(12, ["a", "b"])

    assert counted is not None
    assert counted.groups == {"a": 2, "b": 0}


def test_scans_rest_so_long_that_they_cost_a_fiftieth_of_a_cpu(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, dict.fromkeys(range(10, 10_010), ("S", 1)))
    proc.process(8, {8: ("R", 1)})
    spent, clock = itertools.count(0, NS_PER_MS // 100), FakeClock()
    costs = []
    threads = RunnableThreads(cpus={1}, root=tmp_path, spent=lambda: next(spent), clock=clock)
    for _ in range(1000):
        begun = next(spent)
        threads.count(4)
        threads.count_by_group(4, ["a"])
        costs.append(next(spent) - begun)
        clock.pass_seconds(0.1)

    assert max(costs) <= 2 * 50 * NS_PER_MS
    assert sum(costs) == pytest.approx(0.02 * 100 * NS_PER_S, rel=0.1)


def test_while_scans_rest_the_nodes_part_is_that_of_the_last_for_ten_seconds(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    proc.process(20, {20: ("R", 0)})
    spent, clock = itertools.count(0, 45 * NS_PER_MS), FakeClock()
    threads = RunnableThreads(
        cpus={1}, root=tmp_path, spent=lambda: next(spent), clock=clock, most=10 * NS_PER_S
    )
    assert threads.count(2) == 1
    proc.end(20)

    assert threads.count(4) == 2
    assert threads.ready
    assert threads.count_by_group(4, []) is not None
    assert not threads.ready
    assert threads.count_by_group(4, []) is None
    clock.pass_seconds(11)
    assert threads.count(4) is None


def test_a_scan_serves_both_the_node_and_the_groups_once(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/task/10/cgroup").write_text("0::/a\n")
    threads = unbounded(tmp_path, 1)
    assert threads.count(1) == 1
    proc.process(20, {20: ("R", 1)})
    (tmp_path / "20/task/20/cgroup").write_text("0::/a\n")

    first = threads.count_by_group(2, ["a"])
    second = threads.count_by_group(2, ["a"])

    assert first is not None
    assert second is not None
    assert (first.groups, second.groups) == ({"a": 1}, {"a": 2})
