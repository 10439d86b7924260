"""Metrics of a node's state, from two samples of its counters."""

from collections.abc import Mapping
from enum import StrEnum, unique

from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.units import NS_PER_S, NS_PER_US

_WRAP = 1 << 32
"""The kernel keeps softirq and interrupt counts in 32 bits per CPU."""
_SATURATED = 0.95


@unique
class Metric(StrEnum):
    """A metric's name, stable: rules, annotations and Prometheus use it.

    ``cpu-*`` are shares (0..1) of the time that the hypervisor left to the node's CPUs, but
    ``cpu-steal``, which is the share that it took. Rates are per second; per CPU of the node
    where the kernel counts per CPU, else of the machine.
    """

    CPU_USER = "cpu-user"
    CPU_SYSTEM = "cpu-system"
    CPU_IOWAIT = "cpu-iowait"
    CPU_STEAL = "cpu-steal"
    RUN_QUEUE = "run-queue"
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


def metrics_between(earlier: Counters, later: Counters) -> dict[Metric, float]:
    """What happened between two samples; a metric whose counters are not whole is left out.

    A counter that goes backwards makes its rate unknown, not negative; one that wraps at 32 bits
    is followed; CPU times that go backwards (steal and iowait do) count as no time.
    """
    elapsed = later.at - earlier.at
    if elapsed <= 0:
        return {}
    seconds = elapsed / NS_PER_S
    found: dict[Metric, float | None] = {
        Metric.LOAD: later.load,
        Metric.CPU_PRESSURE: _pressure(earlier.pressure, later.pressure, elapsed),
    }
    if earlier.stat is not None and later.stat is not None:
        found |= _cpu_metrics(earlier.stat, later.stat)
        found[Metric.CONTEXT_SWITCHES] = _rate(earlier.stat.contexts, later.stat.contexts, seconds)
        found[Metric.FORKS] = _rate(earlier.stat.forks, later.stat.forks, seconds)
        if later.own_running is not None:
            found[Metric.RUN_QUEUE] = later.own_running / later.stat.own_cpus
        per_cpu = seconds * later.stat.own_cpus
        for metric, name in _INTERRUPTS.items():
            found[metric] = _wrapping(earlier.interrupts, later.interrupts, name, per_cpu)
        for metric, name in _SOFTIRQS.items():
            found[metric] = _wrapping(earlier.softirqs, later.softirqs, name, per_cpu)
    return {metric: value for metric, value in found.items() if value is not None}


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


def _run_queue(later: StatCounters, own_busy: float, others_busy: float) -> float:
    """Runnable tasks per CPU of the node, estimated from the machine's where they are not counted.

    The sampling thread does not count. CPUs outside the node that are not saturated have no
    queue; where they are saturated as well, the tasks are taken to be spread evenly. A node
    whose own CPUs are not saturated has no queue beyond what it is busy with.
    """
    tasks = max(0, later.running - 1)
    if own_busy < _SATURATED:
        return min(own_busy, tasks / later.own_cpus)
    if others_busy >= _SATURATED:
        return tasks / (later.own_cpus + later.other_cpus)
    return max(0.0, tasks - others_busy * later.other_cpus) / later.own_cpus


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
