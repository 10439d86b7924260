"""What the kernel can enforce, and the kernel itself."""

import errno
import logging
import os
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.mechanisms.capability import (
    Capability,
    RtSupport,
    combine,
    find_rt_cgroups,
)
from daemons.rubicante.mechanisms.deadline.discovery import DeadlineSupport
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from k40s.cpu.model import DeadlineOffer, Domain
from k40s.node_agent.tick import tick_length
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel

OFFER = DeadlineOffer(
    tick=Nanoseconds(4 * NS_PER_MS), capacity=Fraction(9, 10), domain=Domain.PARTITIONED
)


def find(system: FakeKernel) -> RtSupport:
    groups = BudgetGroups(system=system, root=CPU, prefix="rt", wait=lambda _: None)
    bandwidth = RtBandwidth(system=system, cpu_root=CPU, proc=PROC, is_own_group=groups.is_own)
    return find_rt_cgroups(
        system=system, bandwidth=bandwidth, cpu_root=CPU, debug=Path("/debug"), prefix="rt"
    )


def look(
    system: FakeKernel,
    cores: frozenset[int] = frozenset({1}),
    *,
    rt_cgroups: RtSupport | None = None,
    deadline: DeadlineSupport | None = None,
) -> Capability:
    return combine(
        system=system,
        proc=PROC,
        wanted_cores=cores,
        tick=Nanoseconds(4 * NS_PER_MS),
        rt_cgroups=rt_cgroups or find(system),
        deadline=deadline,
    )


def test_a_whole_kernel_has_no_problem(system: FakeKernel) -> None:
    found = look(system)

    assert (found.problems, found.warnings) == ((), ())
    assert found.mechanism == "rt-cgroup"
    assert found.bandwidth == Fraction(95, 100)
    assert found.cores == {0, 1}
    assert list(system.groups) == [CPU]


def test_both_mechanisms_are_published_by_name(system: FakeKernel) -> None:
    found = look(system, deadline=DeadlineSupport(offer=OFFER, warnings=("w",)))

    assert found.mechanism == "rt-cgroup+deadline"
    assert found.deadline == OFFER
    assert found.warnings == ("deadline: w",)


def test_what_one_mechanism_lacks_hinders_not_the_other(system: FakeKernel) -> None:
    del system.groups[CPU]

    found = look(system, deadline=DeadlineSupport(offer=OFFER))

    assert (found.problems, found.mechanism, found.bandwidth) == ((), "deadline", None)
    assert any("CONFIG_RT_GROUP_SCHED" in warning for warning in found.warnings)


def test_the_smaller_of_sysctl_and_root_group_is_the_bandwidth(system: FakeKernel) -> None:
    system.files[PROC / "sys/kernel/sched_rt_runtime_us"] = "800000"

    assert look(system).bandwidth == Fraction(8, 10)


def test_what_other_groups_hold_is_not_ours_and_the_operator_is_told(system: FakeKernel) -> None:
    system.make_groups(CPU / "machine.slice")
    system.groups[CPU / "machine.slice"].runtime = 300_000
    system.make_groups(CPU / "rt-shared-0")
    system.groups[CPU / "rt-shared-0"].runtime = 500_000
    system.calls.clear()

    found = look(system)

    assert found.bandwidth == Fraction(65, 100)
    (warning,) = found.warnings
    assert "machine.slice holds 0.3000" in warning
    written = {call[1] for call in system.calls if call[0] == "write"}
    assert {path.parent.name for path in written} == {"rt-probe"}


@pytest.mark.parametrize(
    ("sysctl", "root", "bandwidth"),
    [
        ("950000", -1, Fraction(95, 100)),
        ("-1", 950_000, Fraction(95, 100)),
        ("-1", -1, Fraction(1)),
        ("800000", -1, Fraction(8, 10)),
    ],
)
def test_a_limit_of_minus_one_is_the_whole_cpu_and_a_warning(
    system: FakeKernel, sysctl: str, root: int, bandwidth: Fraction
) -> None:
    system.files[PROC / "sys/kernel/sched_rt_runtime_us"] = sysctl
    system.groups[CPU].runtime = root

    found = look(system)

    assert (found.bandwidth, found.problems) == (bandwidth, ())
    assert len(found.warnings) == (sysctl == "-1") + (root == -1)
    assert all("is -1" in warning for warning in found.warnings)


def test_a_foreign_group_without_a_limit_may_take_everything(system: FakeKernel) -> None:
    system.make_groups(CPU / "machine.slice")
    system.groups[CPU / "machine.slice"].runtime = -1

    found = look(system)

    assert found.bandwidth == 0
    assert "machine.slice holds 1.0000" in found.warnings[0]


@pytest.mark.parametrize(("runtime", "period"), [("many", "1000000"), ("950000", "0")])
def test_a_sysctl_that_is_no_share_is_a_problem(
    system: FakeKernel, runtime: str, period: str
) -> None:
    system.files[PROC / "sys/kernel/sched_rt_runtime_us"] = runtime
    system.files[PROC / "sys/kernel/sched_rt_period_us"] = period

    assert "rt-cgroup: sched_rt_runtime_us is not readable" in look(system).problems


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
    assert found.bandwidth is None
    assert any("CONFIG_RT_GROUP_SCHED" in problem for problem in found.problems)


def test_a_node_that_is_to_use_nothing_says_so(system: FakeKernel) -> None:
    found = combine(
        system=system,
        proc=PROC,
        wanted_cores=frozenset({1}),
        tick=Nanoseconds(0),
        rt_cgroups=None,
        deadline=None,
    )

    assert (found.mechanism, found.problems) == ("none", ("no mechanism is to be used",))


def test_an_unreadable_sysctl_is_a_problem(system: FakeKernel) -> None:
    del system.files[PROC / "sys/kernel/sched_rt_runtime_us"]

    assert "rt-cgroup: sched_rt_runtime_us is not readable" in look(system).problems


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
