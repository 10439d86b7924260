"""What the demo reads of the kernel: budget groups, SCHED_DEADLINE threads, quotas."""

from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, SchedAttr
from demo.budgets import read_deadlines, read_groups, read_quota
from k40s.cpu.model import Mechanism
from k40s.units import Nanoseconds

DEADLINE = SchedAttr(
    policy=SCHED_DEADLINE,
    runtime=Nanoseconds(20_120_000),
    deadline=Nanoseconds(100_000_000),
    period=Nanoseconds(100_000_000),
)


class Threads:
    """Implements ``Attributes`` for reading; a thread that it does not know is gone."""

    def __init__(self, known: dict[int, SchedAttr]) -> None:
        self._known = known

    def get(self, tid: int) -> SchedAttr:
        if tid not in self._known:
            raise ProcessLookupError
        return self._known[tid]

    def set(self, tid: int, attr: SchedAttr) -> None:
        raise AssertionError(tid, attr)

    def make_ordinary(self, tid: int) -> None:
        raise AssertionError(tid)


@pytest.mark.parametrize("name", ["cgroup.threads", "tasks"])
def test_deadline_threads_are_found_in_pods_of_either_version(tmp_path: Path, name: str) -> None:
    container = tmp_path / "burstable/pod1/abc"
    container.mkdir(parents=True)
    (container / name).write_text("7\n8\n9\n")
    threads = Threads({7: SchedAttr(policy=0), 9: DEADLINE})

    (found,) = read_deadlines(tmp_path, threads)

    assert (found.name, found.threads) == ("thread-9", (9,))
    assert (found.budget, found.period) == (20_120, 100_000)
    assert found.mechanism is Mechanism.DEADLINE


def test_a_node_without_pods_has_none(tmp_path: Path) -> None:
    assert read_deadlines(tmp_path / "kubepods", Threads({})) == ()


def test_budget_groups_are_found_by_their_prefix(tmp_path: Path) -> None:
    for name in ("k40s-rt-demo-edge-1-shared-0", "k40s-rt-other-0"):
        group = tmp_path / name
        group.mkdir()
        for file, text in (("rt_runtime_us", "4020"), ("rt_period_us", "16666")):
            (group / f"cpu.{file}").write_text(text)
        (group / "tasks").write_text("12\n")

    (found,) = read_groups(tmp_path, "k40s-rt-demo-edge-1-")

    assert (found.budget, found.period, found.threads) == (4020, 16666, (12,))
    assert found.mechanism is Mechanism.RT_CGROUP


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "10000 100000\n"}, 0.1),
        ({"cpu.max": "max 100000\n"}, 0.0),
        ({"cpu.cfs_quota_us": "25000\n", "cpu.cfs_period_us": "100000\n"}, 0.25),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 0.0),
    ],
)
def test_a_quota_is_read_in_either_version(
    tmp_path: Path, files: dict[str, str], quota: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert read_quota(tmp_path) == quota
