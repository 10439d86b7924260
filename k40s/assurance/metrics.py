"""Metrics of a node's state, from two samples of its counters."""

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique

from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.units import NS_PER_S, NS_PER_US

_WRAP = 1 << 32
"""The kernel keeps softirq and interrupt counts in 32 bits per CPU."""
SATURATED = 0.95
"""Share of time from which on CPUs count as having no time left."""
MUCH_SYSTEM = 0.2
"""Share of time in the kernel from which on its stretches count: an idle CPU rarely switches."""


@unique
class Metric(StrEnum):
    """A metric's name, stable: rules, annotations and Prometheus use it.

    ``cpu-*`` are shares (0..1) of the time that the hypervisor left to the node's CPUs, but
    ``cpu-steal``, which is the share that it took. Rates are per second; per CPU of the node
    where the kernel counts per CPU, else of the machine. ``kernel-queue`` is the run queue times
    the share of time in the kernel: how many tasks contend for code that cannot be preempted.
    ``kernel-stretch`` is the time in the kernel per context switch of the machine, in milliseconds,
    while the kernel takes a fifth of the node's time or more, else 0: how long a real-time thread
    may wait for such code.
    """

    CPU_USER = "cpu-user"
    CPU_SYSTEM = "cpu-system"
    CPU_IOWAIT = "cpu-iowait"
    CPU_STEAL = "cpu-steal"
    RUN_QUEUE = "run-queue"
    KERNEL_QUEUE = "kernel-queue"
    KERNEL_STRETCH = "kernel-stretch"
    CONTEXT_SWITCHES = "context-switches"
    FORKS = "forks"
    RESCHEDULES = "reschedules"
    TLB_SHOOTDOWNS = "tlb-shootdowns"
    FUNCTION_CALLS = "function-calls"
    DEVICE_INTERRUPTS = "device-interrupts"
    SOFTIRQ_TIMER = "softirq-timer"
    SOFTIRQ_RCU = "softirq-rcu"
    SOFTIRQ_NET_RX = "softirq-net-rx"
    SOFTIRQ_BLOCK = "softirq-block"
    CPU_PRESSURE = "cpu-pressure"
    LOAD = "load"


@unique
class Unit(StrEnum):
    """What a metric's value counts."""

    SHARE = "share"
    """Of time, 0 to 1."""
    TASKS = "tasks"
    MILLISECONDS = "milliseconds"
    PER_SECOND = "per-second"


def unit_of(metric: Metric) -> Unit:
    """The unit of a metric's values."""
    if metric in _SHARES:
        return Unit.SHARE
    if metric is Metric.KERNEL_STRETCH:
        return Unit.MILLISECONDS
    return Unit.TASKS if metric in _TASKS else Unit.PER_SECOND


def needs_details(metrics: Iterable[Metric]) -> bool:
    """Whether one of them needs a source other than /proc/stat."""
    return not frozenset(metrics) <= frozenset(_OF_STAT)


def available_metrics(sample: Counters) -> frozenset[Metric]:
    """The metrics for which this kernel has the counters."""
    found = {
        Metric.LOAD: sample.load is not None,
        Metric.CPU_PRESSURE: sample.pressure is not None,
        **dict.fromkeys(_OF_STAT, sample.stat is not None),
        **{metric: name in sample.interrupts for metric, name in _INTERRUPTS.items()},
        **{metric: name in sample.softirqs for metric, name in _SOFTIRQS.items()},
    }
    return frozenset(metric for metric, there in found.items() if there)


def metrics_between(earlier: Counters, later: Counters) -> dict[Metric, float]:
    """The metrics between two samples; one with a missing counter is left out.

    A counter that goes backwards makes its rate unknown, not negative; one that wraps at 32 bits
    is corrected; CPU times that go backwards (steal and iowait do) count as zero.
    """
    elapsed = later.at - earlier.at
    if elapsed <= 0:
        return {}
    seconds = elapsed / NS_PER_S
    found = _detail_metrics(earlier, later)
    if earlier.stat is not None and later.stat is not None:
        found |= _cpu_metrics(earlier.stat, later.stat)
        found[Metric.CONTEXT_SWITCHES] = _rate(earlier.stat.contexts, later.stat.contexts, seconds)
        found[Metric.FORKS] = _rate(earlier.stat.forks, later.stat.forks, seconds)
        if later.own_running is not None:
            found[Metric.RUN_QUEUE] = _counted_queue(earlier.stat, later.stat, later.own_running)
        system, queue = found.get(Metric.CPU_SYSTEM), found.get(Metric.RUN_QUEUE)
        if system is not None and queue is not None:
            found[Metric.KERNEL_QUEUE] = system * queue
        if system is not None:
            found[Metric.KERNEL_STRETCH] = _stretch(earlier.stat, later.stat, seconds, system)
    return {metric: value for metric, value in found.items() if value is not None}


def _detail_metrics(earlier: Counters, later: Counters) -> dict[Metric, float | None]:
    """Those of all sources but /proc/stat; none where these were not read between the samples."""
    begin = earlier.at if earlier.details_at is None else earlier.details_at
    end = later.at if later.details_at is None else later.details_at
    if end <= begin:
        return {}
    found: dict[Metric, float | None] = {
        Metric.LOAD: later.load,
        Metric.CPU_PRESSURE: _pressure(earlier.pressure, later.pressure, end - begin),
    }
    per_cpu = (end - begin) / NS_PER_S * later.cpus
    for metric, name in _INTERRUPTS.items():
        found[metric] = _wrapping(earlier.interrupts, later.interrupts, name, per_cpu)
    for metric, name in _SOFTIRQS.items():
        found[metric] = _wrapping(earlier.softirqs, later.softirqs, name, per_cpu)
    return found


def _cpu_metrics(earlier: StatCounters, later: StatCounters) -> dict[Metric, float]:
    own = _spent(earlier.own, later.own)
    available = own.user + own.system + own.irq + own.idle + own.iowait
    total = available + own.steal
    if total == 0:
        return {}
    metrics = {Metric.CPU_STEAL: own.steal / total}
    if available == 0:
        return metrics
    metrics[Metric.CPU_USER] = own.user / available
    metrics[Metric.CPU_SYSTEM] = (own.system + own.irq) / available
    metrics[Metric.CPU_IOWAIT] = own.iowait / available
    others = _spent(earlier.others, later.others)
    metrics[Metric.RUN_QUEUE] = _run_queue(later, _busy(own), _busy(others))
    return metrics


def _counted_queue(earlier: StatCounters, later: StatCounters, running: float) -> float:
    """Runnable tasks per CPU of the node, by their state.

    A task that waits for its cgroup's CPU quota is in the state of one that waits for a CPU. On
    CPUs that were not saturated it was the former: nobody waits for a CPU that idles.
    """
    queue = running / later.own_cpus
    busy = _busy(_spent(earlier.own, later.own))
    return queue if busy >= SATURATED else min(queue, busy)


def _run_queue(later: StatCounters, own_busy: float, others_busy: float) -> float:
    """Runnable tasks per CPU of the node, estimated from the machine's where they are not counted.

    The sampling thread does not count. CPUs outside the node that are not saturated have no
    queue; where they are saturated as well, the tasks are assumed to be spread evenly. A node
    whose own CPUs are not saturated has no queue beyond what it is busy with.
    """
    tasks = max(0, later.running - 1)
    if own_busy < SATURATED:
        return min(own_busy, tasks / later.own_cpus)
    if others_busy >= SATURATED:
        return tasks / (later.own_cpus + later.other_cpus)
    return max(0.0, tasks - others_busy * later.other_cpus) / later.own_cpus


def _stretch(
    earlier: StatCounters, later: StatCounters, seconds: float, own_system: float
) -> float | None:
    """Time in the kernel per context switch, of the whole machine: where switches are counted."""
    if later.contexts < earlier.contexts:
        return None
    if own_system < MUCH_SYSTEM:
        return 0.0
    spent = _spent(earlier.own + earlier.others, later.own + later.others)
    system = spent.system + spent.irq
    total = spent.user + system + spent.idle + spent.iowait + spent.steal
    in_kernel = system / total * seconds * (later.own_cpus + later.other_cpus)
    return 1000 * in_kernel / max(1, later.contexts - earlier.contexts)


def _spent(earlier: CpuTimes, later: CpuTimes) -> CpuTimes:
    return CpuTimes(
        user=max(0, later.user - earlier.user),
        system=max(0, later.system - earlier.system),
        idle=max(0, later.idle - earlier.idle),
        iowait=max(0, later.iowait - earlier.iowait),
        irq=max(0, later.irq - earlier.irq),
        steal=max(0, later.steal - earlier.steal),
    )


def _busy(spent: CpuTimes) -> float:
    working = spent.user + spent.system + spent.irq
    available = working + spent.idle + spent.iowait
    return working / available if available else 0.0


def _rate(earlier: int | None, later: int | None, seconds: float) -> float | None:
    if earlier is None or later is None or later < earlier:
        return None
    return (later - earlier) / seconds


def _pressure(earlier: int | None, later: int | None, elapsed: int) -> float | None:
    rate = _rate(earlier, later, elapsed / NS_PER_US)
    return None if rate is None else min(1.0, rate)


def _wrapping(
    earlier: Mapping[str, int], later: Mapping[str, int], name: str, seconds: float
) -> float | None:
    if name not in earlier or name not in later:
        return None
    count = later[name] - earlier[name]
    if count < 0:
        count += _WRAP
        if not 0 <= count < _WRAP // 2:
            return None
    return count / seconds


_SHARES = frozenset(
    {
        Metric.CPU_USER,
        Metric.CPU_SYSTEM,
        Metric.CPU_IOWAIT,
        Metric.CPU_STEAL,
        Metric.CPU_PRESSURE,
    }
)
_TASKS = frozenset({Metric.RUN_QUEUE, Metric.KERNEL_QUEUE, Metric.LOAD})
_OF_STAT = (
    Metric.CPU_USER,
    Metric.CPU_SYSTEM,
    Metric.CPU_IOWAIT,
    Metric.CPU_STEAL,
    Metric.RUN_QUEUE,
    Metric.KERNEL_QUEUE,
    Metric.KERNEL_STRETCH,
    Metric.CONTEXT_SWITCHES,
    Metric.FORKS,
)
_INTERRUPTS = {
    Metric.RESCHEDULES: "RES",
    Metric.TLB_SHOOTDOWNS: "TLB",
    Metric.FUNCTION_CALLS: "CAL",
    Metric.DEVICE_INTERRUPTS: "device",
}
_SOFTIRQS = {
    Metric.SOFTIRQ_TIMER: "TIMER",
    Metric.SOFTIRQ_RCU: "RCU",
    Metric.SOFTIRQ_NET_RX: "NET_RX",
    Metric.SOFTIRQ_BLOCK: "BLOCK",
}
