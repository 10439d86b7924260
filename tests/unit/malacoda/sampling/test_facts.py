import gzip
from pathlib import Path

import pytest

from daemons.malacoda.sampling.facts import online_cpus, read_software_facts
from k40s.assurance.software import Preemption, SoftwareFacts
from k40s.node_agent.tick import tick_length
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds


class Machine:
    """Files of /proc and /sys, as a test lays them out."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.sys = root / "sys"
        self.proc.mkdir()
        self.sys.mkdir()

    def write(self, path: str, text: str) -> "Machine":
        file = self.proc.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def configure(self, *options: str) -> "Machine":
        text = "\n".join([*(f"{option}=y" for option in options), "# CONFIG_OTHER is not set"])
        (self.proc / "config.gz").write_bytes(gzip.compress(text.encode()))
        return self

    def facts(self, *cpus: int) -> SoftwareFacts:
        return read_software_facts(
            proc=self.proc, sys=self.sys, cpus=cpus or (1,), tick=Nanoseconds(NS_PER_MS)
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_that_tells_nothing_is_taken_for_the_worse(machine: Machine) -> None:
    assert machine.facts() == SoftwareFacts(
        preemption=None,
        tick=Nanoseconds(NS_PER_MS),
        isolated=False,
        group_budgets=False,
        governor=None,
        multithreading=False,
        virtual=False,
    )


@pytest.mark.parametrize(
    ("path", "text", "model"),
    [
        ("sys/kernel/realtime", "1\n", Preemption.REAL_TIME),
        ("sys/kernel/realtime", "0\n", None),
        ("proc/version", "Linux version 5.10 #1 SMP PREEMPT_RT Debian", Preemption.REAL_TIME),
        ("proc/version", "Linux version 6.1 #1 SMP PREEMPT_DYNAMIC", None),
        ("proc/version", "Linux version 5.4 #1 SMP PREEMPT", Preemption.LOW_LATENCY),
        ("proc/version", "Linux version 5.4 #1 SMP", Preemption.GENERAL),
        ("proc/xenomai/version", "3.2", Preemption.CO_KERNEL),
        ("proc/cmdline", "quiet preempt=full", Preemption.LOW_LATENCY),
        ("proc/cmdline", "preempt=none quiet", Preemption.GENERAL),
        ("proc/cmdline", "nopreempt=full", None),
        ("proc/cmdline", "preempt=nonsense", None),
        ("sys/kernel/debug/sched/preempt", "none voluntary (full)\n", Preemption.LOW_LATENCY),
        ("sys/kernel/debug/sched/preempt", "none (voluntary) full\n", Preemption.GENERAL),
    ],
)
def test_finds_how_the_kernel_can_be_preempted(
    machine: Machine, path: str, text: str, model: Preemption | None
) -> None:
    assert machine.write(path, text).facts().preemption is model


def test_what_runs_goes_before_what_was_asked_for_and_what_was_built(machine: Machine) -> None:
    machine.configure("CONFIG_PREEMPT_NONE")
    assert machine.facts().preemption is Preemption.GENERAL

    machine.write("proc/cmdline", "preempt=full")
    assert machine.facts().preemption is Preemption.LOW_LATENCY

    machine.write("sys/kernel/debug/sched/preempt", "(none) voluntary full")
    assert machine.facts().preemption is Preemption.GENERAL


@pytest.mark.parametrize(
    ("option", "model"),
    [
        ("CONFIG_PREEMPT_RT", Preemption.REAL_TIME),
        ("CONFIG_PREEMPT", Preemption.LOW_LATENCY),
        ("CONFIG_PREEMPT_LAZY", Preemption.LOW_LATENCY),
        ("CONFIG_PREEMPT_VOLUNTARY", Preemption.GENERAL),
        ("CONFIG_OTHER", None),
    ],
)
def test_the_build_tells_where_nothing_else_does(
    machine: Machine, option: str, model: Preemption | None
) -> None:
    assert machine.configure(option).facts().preemption is model


@pytest.mark.parametrize(
    ("files", "cpus", "isolated"),
    [
        ({"isolated": "1-3"}, (1, 2), True),
        ({"isolated": "1"}, (1, 2), False),
        ({"isolated": "", "nohz_full": "0-7"}, (1, 2), True),
        ({"isolated": "\n"}, (1,), False),
        ({"nohz_full": "(null)"}, (1,), False),
    ],
)
def test_cpus_are_isolated_when_all_of_the_nodes_are(
    machine: Machine, files: dict[str, str], cpus: tuple[int, ...], isolated: bool
) -> None:
    for name, text in files.items():
        machine.write(f"sys/devices/system/cpu/{name}", text)

    assert machine.facts(*cpus).isolated is isolated


BUILT = "CONFIG_RT_GROUP_SCHED"
OFF = "CONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED"
FILE = "sys/fs/cgroup/cpu,cpuacct/cpu.rt_runtime_us"
V1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\ncpu\t2\t9\t1\n"
V2 = V1.replace("cpu\t2", "cpu\t0")


def test_budgets_are_there_where_their_file_is(machine: Machine) -> None:
    assert not machine.facts().group_budgets

    machine.write(FILE, "950000")

    assert machine.facts().group_budgets


@pytest.mark.parametrize(
    ("options", "cgroups", "usable"),
    [((BUILT,), V1, True), ((BUILT,), V2, False), ((BUILT,), "", False), ((), V1, False)],
    ids=["v1", "v2 alone", "unknown", "not built in"],
)
def test_where_no_cgroup_is_seen_build_and_hierarchy_tell(
    machine: Machine, options: tuple[str, ...], cgroups: str, usable: bool
) -> None:
    machine.configure(*options)
    machine.write("proc/cgroups", cgroups)

    assert machine.facts().group_budgets is usable


@pytest.mark.parametrize(
    ("options", "cmdline", "usable"),
    [
        ((BUILT, OFF), "quiet", False),
        ((BUILT, OFF), "rt_group_sched=1", True),
        ((BUILT, OFF), 'rt-group-sched="0x1"', True),
        ((BUILT, OFF), "rt_group_sched=0 rt_group_sched=1", True),
        ((BUILT, OFF), "xrt_group_sched=1", False),
        ((BUILT, OFF), "rt_group_sched=2", False),
        ((BUILT, OFF), "rt_group_sched", False),
        ((BUILT, OFF), "init=/x -- rt_group_sched=1", False),
        ((BUILT,), "rt_group_sched=0", False),
        ((BUILT,), "rt_group_sched=no", True),
        ((BUILT,), "rt_group_sched=1 rt_group_sched=0", False),
    ],
)
def test_budgets_that_are_built_in_may_be_switched_off(
    machine: Machine, options: tuple[str, ...], cmdline: str, usable: bool
) -> None:
    machine.configure(*options)
    machine.write("proc/cgroups", V1)
    machine.write("proc/cmdline", f"{cmdline}\n")

    assert machine.facts().group_budgets is usable


@pytest.mark.parametrize(
    ("runtime", "usable"), [("950000\n", True), ("-1\n", True), ("0\n", False)]
)
def test_deadline_is_there_where_the_kernel_knows_it_and_leaves_bandwidth(
    machine: Machine, runtime: str, usable: bool
) -> None:
    machine.write("proc/sys/kernel/sched_rt_runtime_us", runtime)
    assert not machine.facts().deadline

    machine.write("proc/sys/kernel/sched_deadline_period_max_us", "4194304\n")
    assert machine.facts().deadline is usable


def test_of_several_governors_the_one_that_costs_counts(machine: Machine) -> None:
    machine.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n")
    assert machine.facts(1, 2).governor == "performance"

    machine.write("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n")
    assert machine.facts(1, 2).governor == "powersave"
    assert machine.facts(1).governor == "performance"


def test_multithreading_and_hypervisors_are_seen(machine: Machine) -> None:
    machine.write("sys/devices/system/cpu/smt/active", "1\n")
    machine.write("proc/cpuinfo", "model name\t: x\nflags\t\t: fpu hypervisor lahf_lm\n")
    assert machine.facts().multithreading
    assert machine.facts().virtual

    machine.write("proc/cpuinfo", "model name\t: x\nflags\t\t: fpu lahf_lm\n")
    assert not machine.facts().virtual

    machine.write("sys/hypervisor/type", "xen\n")
    assert machine.facts().virtual


def test_a_damaged_build_configuration_is_unknown(machine: Machine) -> None:
    (machine.proc / "config.gz").write_bytes(gzip.compress(b"CONFIG_PREEMPT=y")[:-9])

    assert machine.facts().preemption is None


def test_the_online_cpus_are_the_machines(machine: Machine) -> None:
    machine.write("sys/devices/system/cpu/online", "0-1,4\n")

    assert online_cpus(machine.sys) == (0, 1, 4)


def test_a_tick_lasts_a_thousandth_to_a_hundredth_of_a_second() -> None:
    assert NS_PER_S // 1000 <= tick_length() <= NS_PER_S // 100
