"""What the kernel can enforce, and the kernel itself."""

import errno
import logging
import os
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.capability import Capability, find_capability, tick_length
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante_kernel import CPU, PROC, FakeKernel


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
