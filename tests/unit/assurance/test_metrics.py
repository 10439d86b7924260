from dataclasses import replace

import pytest

from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.metrics import Metric, available_metrics, metrics_between, needs_details
from k40s.units import NS_PER_MS, Nanoseconds

NO_TIME = CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0)


def stat(
    own: CpuTimes = NO_TIME,
    others: CpuTimes = NO_TIME,
    *,
    other_cpus: int = 1,
    contexts: int = 0,
    forks: int = 0,
    running: int = 1,
) -> StatCounters:
    return StatCounters(
        own=own,
        own_cpus=1,
        others=others,
        other_cpus=other_cpus,
        contexts=contexts,
        forks=forks,
        running=running,
    )


def at(milliseconds: int, counters: StatCounters | None = None, **more: object) -> Counters:
    return Counters(at=Nanoseconds(milliseconds * NS_PER_MS), stat=counters, **more)  # type: ignore[arg-type]  # fields by name


def cpu(**ticks: int) -> CpuTimes:
    return replace(NO_TIME, **ticks)


def test_shares_are_of_the_time_that_the_hypervisor_left() -> None:
    earlier = at(0, stat(cpu(user=5, steal=7)))
    later = at(1000, stat(cpu(user=35, system=20, irq=10, iowait=10, idle=30, steal=32)))

    metrics = metrics_between(earlier, later)

    assert metrics[Metric.CPU_USER] == pytest.approx(0.3)
    assert metrics[Metric.CPU_SYSTEM] == pytest.approx(0.3)
    assert metrics[Metric.CPU_IOWAIT] == pytest.approx(0.1)
    assert metrics[Metric.CPU_STEAL] == pytest.approx(0.2)


def test_times_that_go_backwards_count_as_no_time() -> None:
    earlier = at(0, stat(cpu(steal=50, iowait=50)))
    later = at(500, stat(cpu(steal=10, iowait=10, idle=50)))

    metrics = metrics_between(earlier, later)

    assert metrics[Metric.CPU_STEAL] == metrics[Metric.CPU_IOWAIT] == 0


def test_a_cpu_without_any_time_has_no_shares() -> None:
    assert Metric.CPU_USER not in metrics_between(at(0, stat()), at(500, stat()))


def test_a_cpu_that_was_stolen_as_a_whole_has_steal_alone() -> None:
    metrics = metrics_between(at(0, stat()), at(500, stat(cpu(steal=50))))

    assert metrics[Metric.CPU_STEAL] == 1
    assert Metric.CPU_USER not in metrics


def test_rates_are_per_second_and_on_the_nodes_cpus_per_cpu() -> None:
    earlier = at(
        0, stat(contexts=100, forks=5), interrupts={"RES": 10, "device": 1}, softirqs={"RCU": 0}
    )
    later = at(
        500,
        replace(stat(contexts=1100, forks=6), own_cpus=2),
        cpus=2,
        interrupts={"RES": 110, "device": 3},
        softirqs={"RCU": 8},
    )

    metrics = metrics_between(earlier, later)

    assert metrics[Metric.CONTEXT_SWITCHES] == 2000
    assert metrics[Metric.FORKS] == 2
    assert metrics[Metric.RESCHEDULES] == 100
    assert metrics[Metric.DEVICE_INTERRUPTS] == 2
    assert metrics[Metric.SOFTIRQ_RCU] == 8
    assert Metric.TLB_SHOOTDOWNS not in metrics


def test_a_counter_that_wraps_at_32_bits_is_followed() -> None:
    earlier = at(0, stat(), interrupts={"RES": 2**32 - 10})
    later = at(1000, stat(), interrupts={"RES": 30})

    assert metrics_between(earlier, later)[Metric.RESCHEDULES] == 40


@pytest.mark.parametrize("before", [100, 2**33])
def test_a_counter_that_goes_backwards_makes_its_rate_unknown(before: int) -> None:
    earlier = at(0, stat(contexts=10), interrupts={"RES": before}, pressure=5)
    later = at(1000, stat(contexts=9), interrupts={"RES": 50}, pressure=4)

    metrics = metrics_between(earlier, later)

    assert not {Metric.RESCHEDULES, Metric.CONTEXT_SWITCHES, Metric.CPU_PRESSURE} & set(metrics)


def test_pressure_is_a_share_of_wall_time() -> None:
    def pressure(before: int, after: int) -> float:
        return metrics_between(at(0, pressure=before), at(500, pressure=after))[Metric.CPU_PRESSURE]

    assert pressure(0, 250_000) == 0.5
    assert pressure(0, 600_000) == 1


def test_load_needs_no_earlier_sample_of_it() -> None:
    assert metrics_between(at(0), at(500, load=1.5)) == {Metric.LOAD: 1.5}


@pytest.mark.parametrize("later", [0, -1])
def test_nothing_is_known_of_no_time(later: int) -> None:
    assert metrics_between(at(0, stat()), at(later, stat(contexts=5), load=1.0)) == {}


@pytest.mark.parametrize(
    ("own", "others", "running", "queue"),
    [
        (cpu(user=50), cpu(idle=50), 9, 8.0),
        (cpu(user=50), cpu(user=25, idle=25), 9, 7.5),
        (cpu(user=50), cpu(user=50), 9, 4.0),
        (cpu(user=25, idle=25), cpu(user=50), 9, 0.5),
        (cpu(idle=50), cpu(user=50), 9, 0.0),
        (cpu(user=50), cpu(user=25, idle=25), 1, 0.0),
        (cpu(user=50), NO_TIME, 3, 2.0),
    ],
    ids=["idle other", "half idle other", "both busy", "half idle", "idle", "nobody", "no other"],
)
def test_the_run_queue_is_estimated_from_the_machines(
    own: CpuTimes, others: CpuTimes, running: int, queue: float
) -> None:
    later = at(500, stat(own, others, running=running))

    assert metrics_between(at(0, stat()), later)[Metric.RUN_QUEUE] == pytest.approx(queue)


def test_the_run_queue_is_what_was_counted_where_it_was() -> None:
    later = at(500, stat(cpu(user=50), cpu(user=50), running=20), own_running=3.0)

    assert metrics_between(at(0, stat()), later)[Metric.RUN_QUEUE] == 3


def test_tasks_that_wait_for_their_quota_beside_an_idle_cpu_are_no_queue() -> None:
    later = at(500, stat(cpu(user=20, idle=30), cpu(user=50), running=20), own_running=8.0)

    assert metrics_between(at(0, stat()), later)[Metric.RUN_QUEUE] == pytest.approx(0.4)


def test_the_kernel_queue_is_the_part_of_the_run_queue_that_is_in_the_kernel() -> None:
    later = at(500, stat(cpu(user=20, system=30), running=20), own_running=5.0)

    metrics = metrics_between(at(0, stat()), later)

    assert metrics[Metric.KERNEL_QUEUE] == pytest.approx(5.0 * 0.6)


def test_the_kernel_stretch_is_the_time_in_the_kernel_per_context_switch_of_the_machine() -> None:
    earlier = at(0, stat(contexts=1000))
    later = at(500, stat(cpu(user=20, system=25, irq=5), cpu(system=10, idle=40), contexts=1400))

    metrics = metrics_between(earlier, later)

    assert metrics[Metric.KERNEL_STRETCH] == pytest.approx(400 / 400)  # 40 of 50 ticks of 10 ms


def test_stretches_count_where_the_kernel_takes_much_of_the_nodes_time() -> None:
    rare = at(500, stat(cpu(system=9, idle=41), cpu(idle=50), contexts=10))
    none = at(500, stat(cpu(system=50), cpu(idle=50), contexts=0))
    back = at(500, stat(cpu(system=50), cpu(idle=50), contexts=5))

    assert metrics_between(at(0, stat()), rare)[Metric.KERNEL_STRETCH] == 0
    assert metrics_between(at(0, stat()), none)[Metric.KERNEL_STRETCH] == pytest.approx(500)
    backwards = metrics_between(at(0, stat(contexts=9)), back)
    assert Metric.KERNEL_STRETCH not in backwards


def test_a_machine_of_which_the_node_owns_all_has_one_queue() -> None:
    later = at(500, stat(cpu(user=50), other_cpus=0, running=7))

    assert metrics_between(at(0, stat(other_cpus=0)), later)[Metric.RUN_QUEUE] == 6


def test_times_of_several_cpus_add_up() -> None:
    assert cpu(user=1, steal=2) + cpu(user=3, idle=4) == cpu(user=4, steal=2, idle=4)


def test_a_kernel_offers_the_metrics_for_which_a_sample_has_the_counters() -> None:
    whole = at(
        0,
        stat(),
        load=1.0,
        pressure=5,
        interrupts={"RES": 1, "TLB": 1, "CAL": 1, "device": 1},
        softirqs={"TIMER": 1, "RCU": 1, "NET_RX": 1, "BLOCK": 1},
    )

    assert available_metrics(whole) == set(Metric)
    assert available_metrics(replace(whole, pressure=None)) == set(Metric) - {Metric.CPU_PRESSURE}
    alone = replace(whole, interrupts={"device": 1}, softirqs={}, load=None)
    assert Metric.RESCHEDULES not in available_metrics(alone)
    assert available_metrics(at(0)) == set()


@pytest.mark.parametrize(
    "lost",
    [
        {"stat": None},
        {"softirqs": {}},
        {"interrupts": {}},
        {"load": None},
        {"pressure": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_source_that_disappears_takes_its_own_metrics_along_and_no_other(
    lost: dict[str, object],
) -> None:
    whole = {
        "load": 1.0,
        "pressure": 5,
        "interrupts": {"RES": 1, "TLB": 1, "CAL": 1, "device": 1},
        "softirqs": {"TIMER": 1, "RCU": 1, "NET_RX": 1, "BLOCK": 1},
    }
    earlier = at(0, stat(), **whole)
    later = at(500, stat(cpu(idle=50)), **whole)
    expected = metrics_between(earlier, later)

    without = replace(later, **lost)  # type: ignore[arg-type]  # one field each
    found = metrics_between(earlier, without)

    assert found == {metric: expected[metric] for metric in available_metrics(without)}
    assert set(expected) == set(Metric)
    assert len(found) < len(expected)


def test_details_of_an_earlier_sample_give_no_rates_and_those_read_later_the_right_ones() -> None:
    first = at(0, stat(), interrupts={"RES": 0}, pressure=0, load=1.0)
    details = {"interrupts": {"RES": 100}, "pressure": 250_000, "load": 2.0}
    second = at(100, stat(cpu(idle=10)), interrupts={"RES": 0}, pressure=0, load=1.0)
    second = replace(second, details_at=Nanoseconds(0))
    third = at(500, stat(cpu(idle=50)), **details)

    between = metrics_between(first, second)
    after = metrics_between(second, third)

    assert between.keys().isdisjoint({Metric.RESCHEDULES, Metric.CPU_PRESSURE, Metric.LOAD})
    assert Metric.CPU_SYSTEM in between
    assert after[Metric.RESCHEDULES] == pytest.approx(200)
    assert after[Metric.CPU_PRESSURE] == pytest.approx(0.5)
    assert after[Metric.LOAD] == 2.0


def test_rules_on_stat_alone_need_no_details() -> None:
    assert not needs_details([Metric.CPU_SYSTEM, Metric.RUN_QUEUE, Metric.KERNEL_QUEUE])
    assert needs_details([Metric.CPU_SYSTEM, Metric.SOFTIRQ_RCU])
