"""The gauge of harm: whether the critical pods suffer, and not only whether the node is busy.

Seven of ten stress classes raise an alarm and leave real-time tasks faster than before; pressure
of the critical task's own cgroup tells the one that harms: 1 to 3 ms/s against 11 to 15.

A gauge that tells nothing must not pass for one that tells of no harm. Pressure tells only of pods
that hardly wait when the node is calm: one that shares its core with other real-time tasks waits
for them as admission has planned. So each pod's own pressure in calm is kept, as the baseline.
A virtual machine whose host is busy makes every thread wait: there, harm is twice the baseline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, unique
from statistics import median

from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmPolicy:
    """When a critical pod suffers."""

    pressure: int = 5_000
    """Microseconds per second in which some task of the pod waited for a CPU (PSI). Measured once:
    at most 3070 under any stress that leaves latency alone, at least 11068 under ``open``; in a
    later run harm began at 3800, and 8200 was little (docs/calibration.md)."""
    rise: int = 2
    """…and at least so many times the pod's own median pressure in calm."""
    window: Nanoseconds = Nanoseconds(450 * NS_PER_MS)
    """Pressure is taken over at least so much: half a second, as in the measurement, of which a
    sample that comes early may lack some."""
    windows: int = 2
    """So many windows in succession begin the harm by pressure, so many quiet ones end any harm."""
    quiet: int = 4_000
    """A pod whose median pressure in calm is higher has no gauge; measured: 1120 to 1902, and 2517
    and 3328 on busy virtual machines."""
    baseline: int = 60
    """So many windows of calm make that median…"""
    least: int = 20
    """…and a pod with fewer has no gauge yet."""

    def __post_init__(self) -> None:
        if self.pressure <= 0 or self.rise < 1 or self.window <= 0 or self.windows < 1:
            raise ValueError(
                "a gauge of harm has a positive pressure, rise, window and number of windows"
            )
        if not (0 < self.quiet < self.pressure and 0 < self.least <= self.baseline):
            raise ValueError("a gauge of harm breaks 0 < quiet < pressure or 0 < least <= baseline")


@unique
class Gauge(StrEnum):
    """What tells of harm."""

    PRESSURE = "pressure"
    REPORT = "report"
    MISSES = "misses"


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPod:
    """A threatened pod's own gauges. None where it has none, or it could not be read.

    ``pressure`` is the cgroup's total in microseconds (cpu.pressure, some), left out for pods with
    threads of ordinary priority, where plain waiting adds to it. ``late`` is the pod's own report,
    ``misses`` the count of deadline misses.
    """

    pressure: int | None = None
    late: bool | None = None
    misses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """A gauge that showed harm. ``value`` is µs/s of pressure, or missed deadlines."""

    uid: str
    gauge: Gauge
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmState:
    """The gauge between two samples.

    ``harmed`` is None where no gauge tells of harm, and some pod has none that could tell.
    ``bad`` and ``good`` count windows in succession, the current one began at ``begun`` with the
    values of ``pods``. ``evidence`` are the gauges of the last bad window. ``baselines`` are the
    pressures of each pod in the last windows of calm.
    """

    harmed: bool | None = None
    begun: Nanoseconds | None = None
    pods: Mapping[str, CriticalPod] = field(default_factory=dict)
    bad: int = 0
    good: int = 0
    evidence: tuple[Harm, ...] = ()
    baselines: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def shows(self, gauge: Gauge) -> bool:
        """Whether a pod suffers by this gauge."""
        return bool(self.harmed) and any(harm.gauge is gauge for harm in self.evidence)


def gauge_harm(
    state: HarmState,
    policy: HarmPolicy,
    *,
    at: Nanoseconds,
    pods: Mapping[str, CriticalPod],
    calm: bool = True,
) -> HarmState:
    """The gauge after one more sample. ``calm``: no alarm is active, and no sample was high."""
    if state.begun is None:
        return replace(state, begun=at, pods=dict(pods))
    sure = _reported(state.pods, pods)
    length = at - state.begun
    if not sure and length < policy.window:
        return state
    rates = _pressures(state.pods, pods, length) if length >= policy.window else {}
    baselines = _baselines(state.baselines, policy, pods, rates if calm else {})
    begun = HarmState(
        begun=at,
        pods=dict(pods),
        harmed=state.harmed,
        evidence=state.evidence,
        baselines=baselines,
    )
    hearing = [uid for uid in rates if _is_quiet(baselines.get(uid, ()), policy)]
    high = tuple(
        Harm(uid=uid, gauge=Gauge.PRESSURE, value=rates[uid])
        for uid in hearing
        if rates[uid] >= _harmful(baselines[uid], policy)
    )
    if sure or high:
        bad = state.bad + 1
        harmed = True if sure or bad >= policy.windows or state.harmed else state.harmed
        return replace(begun, bad=bad, harmed=harmed, evidence=(*sure, *high))
    good = state.good + 1
    if state.harmed is True and good < policy.windows:
        return replace(begun, good=good)
    known = bool(pods) and all(uid in hearing or pod.late is False for uid, pod in pods.items())
    return replace(begun, good=good, harmed=False if known else None, evidence=())


def count_gauged(state: HarmState, policy: HarmPolicy) -> int:
    """The number of pods of which a gauge can tell that they do not suffer."""
    return sum(
        pod.late is not None or _is_quiet(state.baselines.get(uid, ()), policy)
        for uid, pod in state.pods.items()
    )


def _reported(
    earlier: Mapping[str, CriticalPod], later: Mapping[str, CriticalPod]
) -> tuple[Harm, ...]:
    """Reports and missed deadlines: harm at once."""
    found = []
    for uid, pod in later.items():
        if pod.late:
            found.append(Harm(uid=uid, gauge=Gauge.REPORT, value=1.0))
        before = earlier.get(uid)
        if before is not None and before.misses is not None and pod.misses is not None:
            missed = pod.misses - before.misses
            if missed > 0:
                found.append(Harm(uid=uid, gauge=Gauge.MISSES, value=float(missed)))
    return tuple(found)


def _pressures(
    earlier: Mapping[str, CriticalPod], later: Mapping[str, CriticalPod], length: int
) -> dict[str, float]:
    """Pressure of every pod that has it, in microseconds per second."""
    found = {}
    for uid, pod in later.items():
        before = earlier.get(uid)
        if before is None or before.pressure is None or pod.pressure is None:
            continue
        waited = pod.pressure - before.pressure
        if waited >= 0:
            found[uid] = waited * NS_PER_S / length
    return found


def _baselines(
    known: Mapping[str, tuple[float, ...]],
    policy: HarmPolicy,
    pods: Mapping[str, CriticalPod],
    rates: Mapping[str, float],
) -> dict[str, tuple[float, ...]]:
    """The pressures in calm of the pods that have a gauge; one that loses it begins again."""
    found = {
        uid: (*known.get(uid, ()), *((rates[uid],) if uid in rates else ()))[-policy.baseline :]
        for uid, pod in pods.items()
        if pod.pressure is not None
    }
    return {uid: values for uid, values in found.items() if values}


def _harmful(baseline: tuple[float, ...], policy: HarmPolicy) -> float:
    """The pressure that is harm for a pod that waits so much when the node is calm."""
    return max(float(policy.pressure), policy.rise * median(baseline))


def _is_quiet(values: tuple[float, ...], policy: HarmPolicy) -> bool:
    return len(values) >= policy.least and median(values) <= policy.quiet
