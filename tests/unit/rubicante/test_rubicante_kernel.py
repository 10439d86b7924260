"""The kernel's interfaces, one by one, on a fake kernel."""

import errno
import logging
import os
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.capability import Capability, find_capability, tick_length
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups, GroupName, move
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO, Threads
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante_kernel import CPU, PROC, FakeKernel
from tests.fakes.rubicante_world import container_id, uid

NAME = GroupName(pod_uid=uid(1), index=0)


def server(budget_ms: int, period_ms: int = 100) -> Server:
    return Server(
        budget=Nanoseconds(budget_ms * NS_PER_MS), period=Nanoseconds(period_ms * NS_PER_MS)
    )


@pytest.fixture
def system() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def groups(system: FakeKernel, waits: list[float]) -> BudgetGroups:
    return BudgetGroups(system=system, root=CPU, prefix="rt", wait=waits.append)


@pytest.fixture
def threads(system: FakeKernel) -> Threads:
    return Threads(system=system, proc=PROC)


def test_writes_the_period_before_the_budget(system: FakeKernel, groups: BudgetGroups) -> None:
    assert groups.ensure(NAME, server(30))

    assert [call[1:] for call in system.calls if call[0] == "write"] == [
        (groups.path(NAME) / "cpu.rt_period_us", "100000"),
        (groups.path(NAME) / "cpu.rt_runtime_us", "30000"),
    ]


def test_what_is_as_it_should_be_is_not_written(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(30))
    system.calls.clear()

    assert not groups.ensure(NAME, server(30))
    assert system.calls == []


def test_grows_a_live_group_and_never_shrinks_it(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    tid = system.spawn(groups.path(NAME), "ctl")

    groups.ensure(NAME, server(30))
    groups.ensure(NAME, server(10))

    assert groups.server(NAME) == server(30)
    system.kill(tid)
    groups.ensure(NAME, server(10))
    assert groups.server(NAME) == server(10)


def test_never_changes_the_period_of_a_live_group(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    system.spawn(groups.path(NAME), "ctl")

    with pytest.raises(KernelError, match="the period of a live group stays"):
        groups.ensure(NAME, server(20, 50))


def test_an_empty_group_takes_another_period(groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))

    groups.ensure(NAME, server(20, 50))

    assert groups.server(NAME) == server(20, 50)


def test_einval_is_waited_out_for_a_second_when_patient(
    system: FakeKernel, groups: BudgetGroups, waits: list[float]
) -> None:
    system.lingering = [Fraction(95, 100)] * 1000

    with pytest.raises(KernelError, match="more than the parent has"):
        groups.ensure(NAME, server(20), patient=True)

    assert sum(waits) == pytest.approx(1.0, abs=0.01)


def test_einval_is_final_when_not_patient(
    system: FakeKernel, groups: BudgetGroups, waits: list[float]
) -> None:
    system.lingering = [Fraction(95, 100)]

    with pytest.raises(KernelError):
        groups.ensure(NAME, server(20))

    assert waits == []


def test_a_value_that_the_kernel_does_not_keep_is_a_failure(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    path = groups.path(NAME)
    system.make_groups(path)
    system.files[path / "cpu.rt_period_us"] = "100000"
    system.files[path / "cpu.rt_runtime_us"] = "5"

    with pytest.raises(KernelError, match="the kernel kept 5"):
        groups.ensure(NAME, server(20))


def test_a_group_that_appears_meanwhile_is_used(system: FakeKernel, groups: BudgetGroups) -> None:
    system.make_groups(groups.path(NAME))

    assert groups.ensure(NAME, server(20))


def test_knows_nothing_of_a_group_that_is_absent(groups: BudgetGroups) -> None:
    assert groups.server(NAME) is None
    assert groups.members(NAME) == ()
    assert groups.remove(NAME)
    groups.idle(NAME)


def test_a_group_with_a_thread_is_not_removed(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    system.spawn(groups.path(NAME), "ctl")

    assert not groups.remove(NAME)


def test_a_busy_group_is_tried_again_for_a_bounded_time(
    system: FakeKernel, groups: BudgetGroups, waits: list[float]
) -> None:
    groups.ensure(NAME, server(20))
    system.refuse["remove_directory"] = [OSError(errno.EBUSY, "busy")] * 100

    assert not groups.remove(NAME)
    assert sum(waits) < 0.2
    system.refuse.clear()
    assert groups.remove(NAME)


def test_another_error_on_removal_is_a_failure(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    system.refuse["remove_directory"] = [OSError(errno.EPERM, "no")]

    with pytest.raises(KernelError, match="rmdir"):
        groups.remove(NAME)


def test_a_group_with_a_real_time_thread_cannot_be_idled(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    groups.ensure(NAME, server(20))
    tid = system.spawn(groups.path(NAME), "ctl")
    system.set_policy(tid, FIFO, 90)

    with pytest.raises(KernelError, match="real-time threads inside"):
        groups.idle(NAME)


def test_lists_only_its_own_groups(system: FakeKernel, groups: BudgetGroups) -> None:
    for name in (f"rt-{uid(2)}-1", f"rt-{uid(2)}-01", f"rt-{uid(2)}", f"rt-a-{uid(2)}-0", "rt"):
        system.make_groups(CPU / name)

    assert groups.names() == (GroupName(pod_uid=uid(2), index=1),)


@pytest.mark.parametrize("name", ["../x", "", uid(1).upper().replace("0", "A"), uid(1) + "0"])
def test_a_name_is_a_uid_and_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="not a pod UID"):
        GroupName(pod_uid=name, index=0)


def test_moving_a_dead_thread_is_no_failure(system: FakeKernel) -> None:
    assert not move(system, 4711, CPU)


def test_moving_a_real_time_thread_where_there_is_no_budget_is_one(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    groups.ensure(NAME, server(20))
    tid = system.spawn(groups.path(NAME), "ctl")
    system.set_policy(tid, FIFO, 90)
    target = system.make_groups(CPU / "x")

    with pytest.raises(KernelError, match="moving thread"):
        move(system, tid, target)


def test_reads_a_thread_whose_name_has_brackets(system: FakeKernel, threads: Threads) -> None:
    tid = system.spawn(CPU, "a) R (b")

    found = threads.find(tid)

    assert found is not None
    assert (found.name, found.started) == ("a) R (b", tid)


def test_a_zombie_is_no_thread(system: FakeKernel, threads: Threads) -> None:
    tid = system.spawn(CPU, "ctl")
    system.threads[tid].state = "Z"

    assert threads.find(tid) is None


def test_a_dead_thread_is_nothing_to_any_call(threads: Threads) -> None:
    assert threads.find(1) is None
    assert threads.process(1) is None
    assert threads.policy(1) is None
    assert threads.affinity(1) == frozenset()
    assert threads.kubepods_path(1) is None
    assert not threads.pin(1, frozenset({1}))
    assert not threads.set_policy(1, FIFO, 1)


def test_a_policy_that_the_kernel_refuses_is_a_failure(
    system: FakeKernel, threads: Threads
) -> None:
    tid = system.spawn(system.make_groups(CPU / "x"), "ctl")

    with pytest.raises(KernelError, match="sched_setscheduler"):
        threads.set_policy(tid, FIFO, 90)


def test_a_policy_that_the_kernel_does_not_keep_is_a_failure(
    system: FakeKernel, threads: Threads
) -> None:
    tid = system.spawn(CPU, "ctl")
    system.set_policy = lambda *_: None  # type: ignore[method-assign]  # a kernel that ignores it

    with pytest.raises(KernelError, match="the kernel kept"):
        threads.set_policy(tid, FIFO, 90)


@pytest.mark.parametrize(
    ("directory", "container"),
    [
        (f"kubepods/pod{uid(1)}", container_id(1)),
        (f"kubepods/burstable/pod{uid(1)}", container_id(1)),
        (f"kubepods/besteffort/pod{uid(1)}", container_id(1)),
        (
            f"kubepods.slice/kubepods-pod{uid(1).replace('-', '_')}.slice",
            f"cri-containerd-{container_id(1)}.scope",
        ),
        (
            (
                "kubepods.slice/kubepods-burstable.slice/"
                f"kubepods-burstable-pod{uid(1).replace('-', '_')}.slice"
            ),
            f"crio-{container_id(1)}.scope",
        ),
    ],
)
def test_finds_pods_of_either_cgroup_driver(
    system: FakeKernel, directory: str, container: str
) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/")
    system.make_groups(CPU / directory / container)
    system.make_groups(CPU / directory / "other")

    assert tree.pod(uid(1)) == CPU / directory
    assert tree.containers(CPU / directory) == {container_id(1): CPU / directory / container}
    assert tree.pod(uid(2)) is None
    assert tree.containers(CPU / "absent") == {}


def test_a_cgroup_that_is_being_removed_has_no_threads(system: FakeKernel) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/")
    system.refuse["read"] = [OSError(errno.ENODEV, "going")]

    assert tree.tids(CPU) == ()
    assert tree.tids(CPU / "absent") == ()
    system.refuse["read"] = [OSError(errno.EIO, "broken")]
    with pytest.raises(OSError, match="broken"):
        tree.tids(CPU)


def test_a_home_outside_the_nodes_tree_is_none(system: FakeKernel) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/node-a")
    system.make_groups(CPU / "node-a/kubepods/x")
    system.make_groups(CPU / "node-b/kubepods/x")

    assert tree.home("/node-a/kubepods/x") == CPU / "node-a/kubepods/x"
    assert tree.home("/node-b/kubepods/x") is None
    assert tree.home("/node-a/kubepods/gone") is None


def look(system: FakeKernel, cores: frozenset[int] = frozenset({1})) -> Capability:
    return find_capability(
        system=system,
        cpu_root=CPU,
        proc=PROC,
        features=Path("/debug/features"),
        prefix="rt",
        wanted_cores=cores,
        tick=Nanoseconds(4 * NS_PER_MS),
    )


def test_a_whole_kernel_has_no_problem(system: FakeKernel) -> None:
    found = look(system)

    assert (found.problems, found.warnings) == ((), ())
    assert found.mechanism == "rt-cgroup"
    assert found.bandwidth == Fraction(95, 100)
    assert found.cores == {0, 1}
    assert list(system.groups) == [CPU]


def test_the_smaller_of_sysctl_and_root_group_is_the_bandwidth(system: FakeKernel) -> None:
    system.files[PROC / "sys/kernel/sched_rt_runtime_us"] = "800000"

    assert look(system).bandwidth == Fraction(8, 10)


def test_an_unlimited_sysctl_is_a_warning(system: FakeKernel) -> None:
    system.files[PROC / "sys/kernel/sched_rt_runtime_us"] = "-1"

    found = look(system)

    assert found.bandwidth == Fraction(95, 100)
    assert "-1" in found.warnings[0]


def test_each_lack_is_a_problem(system: FakeKernel) -> None:
    system.files[PROC / "self" / "status"] = "CapEff:\t0000000000000000\n"
    system.files[PROC / "2" / "comm"] = "bash\n"
    system.files[Path("/debug/features")] = "GENTLE RT_RUNTIME_SHARE NO_HRTICK"
    system.refuse["make_directory"] = [OSError(errno.EROFS, "read-only")]

    found = look(system, frozenset({1, 7}))

    assert found.mechanism == "none"
    text = " ".join(found.problems)
    for word in ("CAP_SYS_NICE", "RT_RUNTIME_SHARE", "read-only", "[7]"):
        assert word in text
    assert "hostPID" in found.warnings[0]


def test_without_rt_groups_there_is_no_mechanism(system: FakeKernel) -> None:
    del system.groups[CPU]
    del system.files[PROC / "self" / "status"]

    found = look(system)

    assert found.mechanism == "none"
    assert found.bandwidth == 0
    assert any("CONFIG_RT_GROUP_SCHED" in problem for problem in found.problems)


def test_an_unreadable_sysctl_is_a_problem(system: FakeKernel) -> None:
    del system.files[PROC / "sys/kernel/sched_rt_runtime_us"]

    assert "sched_rt_runtime_us is not readable" in look(system).problems


def test_a_probe_left_behind_is_removed(system: FakeKernel) -> None:
    system.make_groups(CPU / "rt-probe")

    assert look(system).problems == ()
    assert CPU / "rt-probe" not in system.groups


def test_a_probe_that_stays_is_a_problem(system: FakeKernel) -> None:
    system.refuse["remove_directory"] = [OSError(errno.EBUSY, "busy")]

    assert "rt-probe" in look(system).problems[0]


def test_the_tick_is_a_whole_fraction_of_a_second() -> None:
    assert 1000 <= tick_length() <= 50 * NS_PER_MS
    assert abs(round(1e9 / tick_length()) * tick_length() - 1_000_000_000) < 1_000_000


def test_a_dry_run_writes_nothing_and_says_what_it_would(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system = LinuxSystem(dry_run=True)
    file = tmp_path / "tasks"
    file.write_text("1")
    mine = os.getpid()
    affinity, policy = system.affinity(mine), system.policy(mine)

    with caplog.at_level(logging.INFO):
        system.write(file, "2")
        system.make_directory(tmp_path / "new")
        system.remove_directory(tmp_path)
        system.set_affinity(mine, frozenset({0}))
        system.set_policy(mine, FIFO, 1)

    assert file.read_text() == "1"
    assert system.directories(tmp_path) == ()
    assert (system.affinity(mine), system.policy(mine)) == (affinity, policy)
    assert [record.__dict__["call"] for record in caplog.records] == [
        "write",
        "mkdir",
        "rmdir",
        "sched_setaffinity",
        "sched_setscheduler",
    ]


def test_files_and_directories_are_the_real_ones(tmp_path: Path) -> None:
    system = LinuxSystem()

    system.make_directory(tmp_path / "a")
    (tmp_path / "file").write_bytes(b"n\xe4me")
    system.write(tmp_path / "file", "2")

    assert system.directories(tmp_path) == ("a",)
    assert system.read(tmp_path / "file") == "2\\xe4me"
    system.remove_directory(tmp_path / "a")
    assert system.directories(tmp_path) == ()
    assert 0 in system.online()
    assert system.affinity(os.getpid()) == os.sched_getaffinity(0)
