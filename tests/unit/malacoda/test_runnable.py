from pathlib import Path

from daemons.malacoda.runnable import RunnableThreads


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


def test_a_thread_that_may_run_elsewhere_is_not_the_nodes(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    proc.process(20, {20: ("R", 1)}, allowed="0-1")

    assert RunnableThreads(cpus={1}, root=tmp_path).count(2) == 1
    assert RunnableThreads(cpus={1, 0, 2}, root=tmp_path).count(2) == 2


def test_a_thread_that_ends_before_it_says_where_it_may_run_is_not_the_nodes(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/task/10/status").unlink()

    assert RunnableThreads(cpus={1}, root=tmp_path).count(1) == 0


def test_counts_the_runnable_threads_of_some_cpus_but_its_own(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 0)})
    proc.process(20, {20: ("S", 1), 21: ("R", 1), 22: ("R", 0)})
    proc.process(30, {30: ("R", 1)})

    assert RunnableThreads(cpus={1}, root=tmp_path).count(4) == 2
    assert RunnableThreads(cpus={0, 1}, root=tmp_path).count(4) == 4


def test_those_it_does_not_see_are_spread_like_those_it_sees(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 0)})
    proc.process(20, {20: ("R", 1)})

    assert RunnableThreads(cpus={1}, root=tmp_path).count(8) == 4


def test_it_says_nothing_where_it_sees_too_few(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    assert RunnableThreads(cpus={1}, root=tmp_path).count(8) is None

    proc.process(20, {20: ("R", 1)})

    assert RunnableThreads(cpus={1}, root=tmp_path).count(8) is None


def test_it_looks_first_where_threads_were_runnable_and_stops_when_all_are_found(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    threads = RunnableThreads(cpus={1}, root=tmp_path)
    assert threads.count(1) == 1

    proc.process(5, {5: ("R", 0)})

    assert threads.count(1) == 1


def test_threads_may_end_while_it_looks(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    proc.process(20, {20: ("R", 1)})
    threads = RunnableThreads(cpus={1}, root=tmp_path)
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

    assert RunnableThreads(cpus={1}, root=tmp_path).count(1) == 1


def test_a_proc_that_cannot_be_read_gives_nothing(tmp_path: Path) -> None:
    assert RunnableThreads(cpus={1}, root=tmp_path / "absent").count(3) is None


def test_a_stat_that_is_cut_short_gives_nothing(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    proc.process(10, {10: ("R", 1)})
    (tmp_path / "10/stat").write_text("10 (a) R 0 0\n")

    assert RunnableThreads(cpus={1}, root=tmp_path).count(1) is None
