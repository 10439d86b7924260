"""Facts become findings: each with its level, its consequence and the line that changes it."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.units import Nanoseconds
from workbench.doctor.facts import (
    Cgroups,
    DomainFigures,
    Facts,
    Kernel,
    Kubelet,
    Machine,
    Rights,
    RtBudgets,
    Scheduler,
)
from workbench.doctor.findings import Finding, Level
from workbench.doctor.judgement import enforcement, machine, surroundings
from workbench.doctor.judgement.deadlines import deadline, deadline_capacity
from workbench.doctor.judgement.judge import judge
from workbench.doctor.judgement.rt_cgroups import rt_cgroup

NODE = Facts(
    kernel=Kernel(release="6.12.1", options={"HZ": "250"}),
    cgroups=Cgroups(v2=frozenset({"cpu", "cpuset"})),
    scheduler=Scheduler(rt_limit=Fraction(95, 100), tick=Nanoseconds(4_000_000)),
    rights=Rights(sees_host=True),
)
GROUPS = replace(
    NODE, cgroups=Cgroups(v1=frozenset({"cpu"}), rt=RtBudgets(limit=Fraction(95, 100)))
)


def with_options(facts: Facts, **options: str) -> Facts:
    return replace(facts, kernel=replace(facts.kernel, options=options))


def scheduled(facts: Facts, **fields: object) -> Facts:
    return replace(facts, scheduler=replace(facts.scheduler, **fields))  # type: ignore[arg-type]  # fields by name


def on_v1(facts: Facts, **fields: object) -> Facts:
    return replace(facts, cgroups=Cgroups(v1=frozenset({"cpu"}), **fields))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("facts", "level", "remedy"),
    [
        (with_options(NODE, RT_GROUP_SCHED="n"), Level.MISSING, "needs another kernel"),
        (with_options(NODE, RT_GROUP_SCHED="y"), Level.MISSING, "cgroup v1: systemd.unified"),
        (replace(NODE, kernel=Kernel()), Level.MISSING, "a kernel with CONFIG_RT_GROUP_SCHED=y"),
        (
            on_v1(with_options(NODE, RT_GROUP_SCHED="y", RT_GROUP_SCHED_DEFAULT_DISABLED="y")),
            Level.MISSING,
            "rt_group_sched=1",
        ),
        (
            on_v1(replace(NODE, kernel=Kernel())),
            Level.MISSING,
            "needs another kernel: CONFIG_RT_GROUP_SCHED=y",
        ),
        (
            replace(NODE, kernel=Kernel(), cgroups=Cgroups(v1=frozenset({"memory"}))),
            Level.MISSING,
            "mount -t cgroup -o cpu",
        ),
        (replace(NODE, kernel=Kernel(), cgroups=Cgroups()), Level.UNKNOWN, "run it on the node"),
        (
            replace(with_options(NODE, RT_GROUP_SCHED="y"), whole=False, cgroups=Cgroups()),
            Level.UNKNOWN,
            "give --cgroup-version",
        ),
        (
            with_options(GROUPS, RT_GROUP_SCHED="y", CFS_BANDWIDTH="n"),
            Level.LIMITS,
            "needs another kernel: CONFIG_CFS_BANDWIDTH=y",
        ),
        (
            scheduled(GROUPS, features=frozenset({"RT_RUNTIME_SHARE"})),
            Level.MISSING,
            "echo NO_RT_RUNTIME_SHARE",
        ),
        (
            on_v1(GROUPS, rt=RtBudgets(limit=Fraction(0))),
            Level.MISSING,
            "sysctl -w kernel.sched_rt_runtime_us=950000",
        ),
    ],
)
def test_rt_cgroups_are_missing_or_limited_for_one_reason(
    facts: Facts, level: Level, remedy: str
) -> None:
    found = rt_cgroup(facts)

    assert found.level is level
    assert found.remedy.startswith(remedy)


def test_a_smaller_system_limit_bounds_the_groups_too() -> None:
    facts = with_options(scheduled(GROUPS, rt_limit=Fraction(1, 2)), CFS_BANDWIDTH="y")

    assert rt_cgroup(facts).found == "cpu.rt_runtime_us: 0.500 of each core"


@pytest.mark.parametrize(
    ("release", "capacity"), [("6.1.2", "0.95"), ("6.12.1", "0.9"), ("", "0.9")]
)
def test_newer_kernels_hold_back_a_share_for_ordinary_threads(release: str, capacity: str) -> None:
    facts = replace(NODE, kernel=Kernel(release=release))

    assert deadline_capacity(facts) == Fraction(capacity)


def test_a_kernel_without_a_limit_admits_a_whole_cpu() -> None:
    facts = replace(scheduled(NODE, rt_limit=Fraction(-1)), kernel=Kernel(release="6.1.2"))

    assert deadline_capacity(facts) == 1


def test_bandwidth_of_running_threads_is_shown_where_the_kernel_tells() -> None:
    figures = DomainFigures(limit=Fraction(95, 100), total=Fraction(7, 10))
    facts = scheduled(NODE, domains={0: figures, 1: figures}, has_fair_server=True)

    assert "0.300 taken by threads" in deadline(facts).found


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (scheduled(NODE, rt_limit=None), Level.UNKNOWN),
        (scheduled(NODE, rt_limit=Fraction(0)), Level.MISSING),
        (replace(NODE, rights=Rights()), Level.UNKNOWN),
        (on_v1(NODE, balanced=("/", "/kubepods")), Level.LIMITS),
        (on_v1(NODE, balanced=("/kubepods",)), Level.OK),
        (on_v1(NODE), Level.LIMITS),
        (on_v1(with_options(NODE, CPUSETS="n")), Level.LIMITS),
        (replace(NODE, whole=False, cgroups=Cgroups()), Level.LIMITS),
    ],
)
def test_sched_deadline_depends_on_bandwidth_and_root_domains(facts: Facts, level: Level) -> None:
    assert deadline(facts).level is level


@pytest.mark.parametrize(
    ("options", "milliseconds"),
    [({"HZ": "100"}, 10), ({"HZ_1000": "y", "HZ_250": "n"}, 1), ({"HZ": "0"}, None), ({}, None)],
)
def test_the_tick_follows_from_the_options(
    options: dict[str, str], milliseconds: int | None
) -> None:
    tick = enforcement.tick_of_options(Kernel(options=options))

    assert tick == (None if milliseconds is None else milliseconds * 1_000_000)


def test_a_tick_of_one_millisecond_is_the_finest_there_is() -> None:
    found = enforcement.tick(scheduled(NODE, tick=Nanoseconds(1_000_000)))

    assert (found.level, found.remedy) == (Level.OK, "")


def test_a_loop_that_admission_refuses_at_this_tick_is_told_so() -> None:
    found = enforcement.tick(scheduled(NODE, tick=Nanoseconds(1_000_000_000)))

    assert "is refused by rt-cgroups" in found.consequence


@pytest.mark.parametrize(
    ("facts", "level", "text"),
    [
        (scheduled(NODE, features=frozenset({"HRTICK_DL"}), realtime=True), Level.OK, "100us late"),
        (
            scheduled(NODE, features=frozenset({"HRTICK_DL"}), preempt="voluntary"),
            Level.OK,
            "1.2ms late",
        ),
        (
            scheduled(NODE, features=frozenset({"HRTICK_DL"}), preempt="none"),
            Level.LIMITS,
            "the tick late",
        ),
        (
            scheduled(with_options(NODE, SCHED_HRTICK="y"), features=frozenset({"NO_HRTICK_DL"})),
            Level.LIMITS,
            "deadlines up to 4ms are refused",
        ),
        (with_options(NODE, HIGH_RES_TIMERS="n"), Level.MISSING, "up to 4ms"),
        (with_options(NODE, HIGH_RES_TIMERS="y"), Level.LIMITS, "up to 4ms"),
        (
            scheduled(with_options(NODE, HIGH_RES_TIMERS="y"), lockdown="integrity"),
            Level.LIMITS,
            "up to 4ms",
        ),
        (
            replace(
                with_options(NODE, SCHED_HRTICK="y"),
                whole=False,
                scheduler=Scheduler(),
                kernel=Kernel(release="7.1.7", options={"SCHED_HRTICK": "y"}),
            ),
            Level.UNKNOWN,
            "up to the tick",
        ),
    ],
)
def test_the_high_resolution_tick_decides_how_late_budgets_end(
    facts: Facts, level: Level, text: str
) -> None:
    found = enforcement.timer(facts)

    assert found.level is level
    assert text in found.consequence


@pytest.mark.parametrize(
    ("facts", "model"),
    [
        (scheduled(NODE, realtime=True), "rt"),
        (replace(NODE, kernel=Kernel(banner="#1 SMP PREEMPT_RT Debian")), "rt"),
        (scheduled(NODE, preempt="voluntary"), "voluntary"),
        (replace(NODE, kernel=Kernel(command_line=("preempt=none", "preempt=full"))), "full"),
        (
            replace(
                NODE,
                kernel=Kernel(command_line=("preempt=full",), options={"PREEMPT_VOLUNTARY": "y"}),
            ),
            "voluntary",
        ),
        (with_options(NODE, PREEMPT_LAZY="y"), "lazy"),
        (replace(NODE, kernel=Kernel()), "unknown"),
    ],
)
def test_the_preemption_model_is_found_where_it_is_told(facts: Facts, model: str) -> None:
    assert enforcement.preemption_model(facts) == model
    assert (enforcement.preemption(facts).level is Level.UNKNOWN) is (model == "unknown")


@pytest.mark.parametrize(
    ("dynamic", "remedy"),
    [("y", "preempt=full on the kernel's command line"), ("n", "needs another kernel")],
)
def test_a_voluntary_kernel_is_changed_at_start_where_it_is_dynamic(
    dynamic: str, remedy: str
) -> None:
    facts = with_options(NODE, PREEMPT_VOLUNTARY="y", PREEMPT_DYNAMIC=dynamic)

    assert enforcement.preemption(facts).remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("limit", "level"),
    [
        (None, Level.UNKNOWN),
        (Fraction(-1), Level.LIMITS),
        (Fraction(0), Level.MISSING),
        (Fraction(1, 2), Level.LIMITS),
        (Fraction(95, 100), Level.OK),
    ],
)
def test_throttling_bounds_all_real_time_threads(limit: Fraction | None, level: Level) -> None:
    assert enforcement.throttling(scheduled(NODE, rt_limit=limit)).level is level


FIGURES = {0: DomainFigures(limit=Fraction(95, 100), total=Fraction(1, 20))}


@pytest.mark.parametrize(
    ("facts", "level", "remedy"),
    [
        (scheduled(NODE, domains=FIGURES, features=frozenset()), Level.OK, ""),
        (scheduled(NODE, domains=FIGURES, lockdown="integrity"), Level.LIMITS, "start the kernel"),
        (scheduled(NODE, domains=FIGURES), Level.LIMITS, "run it as root"),
        (with_options(NODE, DEBUG_FS="n"), Level.MISSING, "needs another kernel"),
        (scheduled(with_options(NODE, DEBUG_FS="y"), debugfs=True), Level.LIMITS, "run it as root"),
        (
            scheduled(with_options(NODE, DEBUG_FS="y"), debugfs=False),
            Level.LIMITS,
            "mount -t debugfs",
        ),
        (with_options(NODE, DEBUG_FS="y"), Level.UNKNOWN, "run it on the node"),
    ],
)
def test_debugfs_shows_the_scheduler_or_says_how_to(
    facts: Facts, level: Level, remedy: str
) -> None:
    found = surroundings.debugfs(facts)

    assert found.level is level
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (surroundings.lockdown(scheduled(NODE, lockdown="integrity")), Level.LIMITS),
        (surroundings.lockdown(scheduled(NODE, lockdown="none")), Level.OK),
        (surroundings.lockdown(with_options(NODE, SECURITY_LOCKDOWN_LSM="y")), Level.UNKNOWN),
        (surroundings.pressure(NODE), Level.UNKNOWN),
        (surroundings.pressure(scheduled(NODE, pressure=True)), Level.OK),
        (surroundings.pressure(scheduled(NODE, pressure=False)), Level.LIMITS),
        (surroundings.kubelet(NODE), Level.UNKNOWN),
        (surroundings.kubelet(replace(NODE, kubelet=Kubelet(driver="systemd"))), Level.OK),
        (surroundings.options(replace(NODE, kernel=Kernel())), Level.UNKNOWN),
        (surroundings.options(NODE), Level.OK),
        (surroundings.cgroup_version(replace(NODE, cgroups=Cgroups())), Level.UNKNOWN),
        (
            surroundings.cgroup_version(
                replace(NODE, cgroups=Cgroups(v2=frozenset(), partitions={"/a": "root"}))
            ),
            Level.LIMITS,
        ),
        (surroundings.cgroup_version(NODE), Level.OK),
        (surroundings.rights(NODE), Level.UNKNOWN),
        (
            surroundings.rights(
                replace(NODE, rights=Rights(sys_nice=False, sys_admin=False, sees_host=True))
            ),
            Level.LIMITS,
        ),
        (
            surroundings.rights(
                replace(NODE, rights=Rights(sys_nice=True, sys_admin=True, sees_host=True))
            ),
            Level.OK,
        ),
    ],
)
def test_surroundings_are_judged_one_by_one(found: Finding, level: Level) -> None:
    assert found.level is level


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (machine.isolation(replace(NODE, machine=Machine(isolated=frozenset({1})))), Level.OK),
        (machine.isolation(replace(NODE, machine=Machine(nohz_full=frozenset({1})))), Level.OK),
        (
            machine.isolation(
                replace(NODE, cgroups=replace(NODE.cgroups, partitions={"/rt": "root"}))
            ),
            Level.OK,
        ),
        (machine.frequency(NODE), Level.UNKNOWN),
        (machine.frequency(replace(NODE, machine=Machine(online=frozenset({0})))), Level.OK),
        (machine.isolation(NODE), Level.UNKNOWN),
        (
            machine.frequency(
                replace(NODE, machine=Machine(governors=frozenset({"performance"}), turbo=True))
            ),
            Level.LIMITS,
        ),
        (
            machine.frequency(
                replace(NODE, machine=Machine(governors=frozenset({"performance"}), turbo=False))
            ),
            Level.OK,
        ),
        (machine.clock(NODE), Level.UNKNOWN),
        (machine.clock(replace(NODE, machine=Machine(clock="hpet"))), Level.LIMITS),
        (machine.threads_of_a_core(NODE), Level.UNKNOWN),
        (machine.threads_of_a_core(replace(NODE, machine=Machine(smt=True))), Level.LIMITS),
        (machine.swap(NODE), Level.UNKNOWN),
        (machine.swap(replace(NODE, machine=Machine(swap=()))), Level.OK),
        (machine.hypervisor(NODE), Level.UNKNOWN),
        (machine.hypervisor(replace(NODE, machine=Machine(hypervisor=False))), Level.OK),
        (
            machine.hypervisor(
                replace(NODE, machine=Machine(hypervisor=False, steal=Fraction(1, 10)))
            ),
            Level.LIMITS,
        ),
    ],
)
def test_the_machine_is_judged_one_by_one(found: Finding, level: Level) -> None:
    assert found.level is level


def test_an_example_of_cpus_to_isolate_leaves_the_first_one() -> None:
    facts = replace(NODE, machine=Machine(online=frozenset({0, 1, 2})))

    assert "isolcpus=managed_irq,domain,1,2 on" in machine.isolation(facts).remedy


def test_whatever_is_not_in_order_has_a_line_that_changes_it() -> None:
    for facts in (NODE, GROUPS, replace(NODE, kernel=Kernel(), scheduler=Scheduler())):
        for found in judge(facts).findings:
            assert (found.level is Level.OK) or found.remedy, found
