"""What the doctor says of machines whose files were recorded."""

import pytest

from k40s.units import Nanoseconds
from tests.fakes.recorded_files import RecordedFiles, recorded
from workbench.doctor.facts import Facts
from workbench.doctor.files import Reader
from workbench.doctor.findings import ANY, Finding, Level, Verdict, is_met
from workbench.doctor.gather import Running, gather
from workbench.doctor.judgement.judge import judge

RUNNING = Running(release="6.18.44", tick=Nanoseconds(4_000_000))


def facts_of(files: RecordedFiles) -> Facts:
    return gather(Reader(files), RUNNING)


def verdict_of(files: RecordedFiles) -> Verdict:
    return judge(facts_of(files))


def finding(verdict: Verdict, subject: str) -> Finding:
    return next(found for found in verdict.findings if found.subject == subject)


def test_a_machine_with_real_time_groups_offers_both_mechanisms() -> None:
    verdict = verdict_of(recorded("cgroup-v1"))

    assert verdict.mechanisms == ("rt-cgroup", "deadline")
    assert finding(verdict, "rt-cgroup").level is Level.OK
    assert finding(verdict, "deadline").remedy == "K40S_LOAD_BALANCE_OFF=true for rubicante"


def test_the_tick_is_told_in_numbers() -> None:
    tick = finding(verdict_of(recorded("cgroup-v1")), "tick")

    assert tick.found == "HZ = 250"
    assert "checked every 4ms: a task of 1ms every 5ms (0.200 of a core)" in tick.consequence
    assert tick.remedy == "needs another kernel: CONFIG_HZ_1000=y"


def test_who_holds_budgets_beside_k40s_is_named() -> None:
    rt = finding(verdict_of(recorded("cgroup-v1-kubelet")), "rt-cgroup")

    assert rt.level is Level.LIMITS
    assert rt.found.endswith("k40s holds 0.200; others hold machine 0.300")
    assert rt.consequence == "0.650 of each core is left for budget groups"
    assert rt.remedy == "echo 0 > /sys/fs/cgroup/cpu/machine/cpu.rt_runtime_us"


def test_cores_that_are_cut_out_of_load_balancing_are_root_domains() -> None:
    deadline = finding(verdict_of(recorded("cgroup-v1-kubelet")), "deadline")

    assert deadline.level is Level.OK


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("kubelet", "cgroup driver cgroupfs, cpuManagerPolicy: static"),
        ("swap", "on: /dev/sda2"),
        ("smt", "on"),
        ("frequency", "governor powersave, turbo on"),
    ],
)
def test_what_slows_a_node_is_named(subject: str, found: str) -> None:
    one = finding(verdict_of(recorded("cgroup-v1-kubelet")), subject)

    assert one.level is Level.LIMITS
    assert one.found == found
    assert one.remedy


@pytest.mark.parametrize("machine", ["debian-12", "debian-13", "preempt-rt"])
def test_a_stock_kernel_holds_pods_by_sched_deadline(machine: str) -> None:
    verdict = verdict_of(recorded(machine))

    assert verdict.mechanisms == ("deadline",)
    assert is_met(verdict, ANY) is True
    assert is_met(verdict, "rt-cgroup") is False
    assert finding(verdict, "rt-cgroup").found == "CONFIG_RT_GROUP_SCHED is not set"
    assert finding(verdict, "hrtick").remedy == (
        "K40S_HRTICK=true for rubicante, with the component hrtick"
    )
    assert not verdict.gaps


def test_partitions_of_single_pods_need_a_newer_kernel_than_debian_12_has() -> None:
    old = finding(verdict_of(recorded("debian-12")), "deadline")
    new = finding(verdict_of(recorded("debian-13")), "deadline")

    assert (old.level, new.level) == (Level.LIMITS, Level.OK)
    assert old.remedy.startswith("needs another kernel: 6.7 or newer")
    assert old.found.startswith("0.950 of each CPU")
    assert new.found.startswith("0.900 of each CPU")


def test_a_preempt_rt_kernel_is_seen_by_its_own_word() -> None:
    files = recorded("preempt-rt")
    files.texts = {k: v for k, v in files.texts.items() if not k.startswith("/boot")}

    assert finding(verdict_of(files), "preemption").found == "PREEMPT_RT"
    assert finding(verdict_of(recorded("debian-13")), "preemption").level is Level.LIMITS


def test_a_container_without_rights_is_told_how_to_see_the_node() -> None:
    verdict = verdict_of(recorded("container"))

    assert is_met(verdict, ANY) is None
    assert finding(verdict, "rights").level is Level.LIMITS
    assert "kubectl debug node/NODE" in finding(verdict, "rights").remedy
    assert [gap.path for gap in verdict.gaps] == [
        "/sys/kernel/debug/sched",
        "/sys/kernel/debug/sched/features",
        "/sys/kernel/debug/sched/preempt",
        "/sys/kernel/debug/sched/debug",
        "/sys/kernel/debug/sched/fair_server",
    ]


def test_a_container_still_knows_what_its_kernel_lacks() -> None:
    files = recorded("container")
    files.texts["/boot/config-6.18.44"] = "# CONFIG_RT_GROUP_SCHED is not set\n"

    assert verdict_of(files).level_of("rt-cgroup") is Level.MISSING


def test_garbage_is_no_fact_and_no_error() -> None:
    files = recorded("cgroup-v1")
    files.texts = dict.fromkeys(files.texts, b"\x00\xff\xfe garbage \n\n=:[]")
    files.texts["/proc/config.gz"] = b"\x1f\x8b not gzip"

    verdict = verdict_of(files)

    assert not verdict.mechanisms
    assert is_met(verdict, ANY) is None
    assert ("/proc/config.gz", "not a gzip file") in [(g.path, g.cause) for g in verdict.gaps]


def test_nothing_at_all_is_judged_as_unknown() -> None:
    verdict = verdict_of(RecordedFiles({}))

    assert is_met(verdict, ANY) is None
    assert not verdict.gaps


def test_the_tick_of_another_kernel_is_not_that_of_this_one() -> None:
    files = RecordedFiles({"/proc/sys/kernel/osrelease": "5.10.1\n"})

    assert facts_of(files).scheduler.tick is None
