"""The rise of each pod's CPU use, system time and threads over a baseline.

A missing value never accuses: a pod's rise is a lower bound, that of everything outside the pods
(host processes, kernel threads, pods without counters) an upper bound.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Literal

from k40s.assurance.suspects.usage import NodeUsage, PodUsage, spent
from k40s.units import Nanoseconds

_Counter = Literal["system", "used"]
_Interval = tuple[NodeUsage, NodeUsage]

OUTSIDE = ""
"""Stands for everything outside the pods where uids are keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """System time and CPU use in CPUs, and numbers of threads; None where unknown."""

    system: float | None = None
    used: float | None = None
    runnable: float | None = None
    pids: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Median levels before a hazard: of each pod, and of everything outside the pods."""

    since: Nanoseconds
    until: Nanoseconds
    outside: Level
    pods: Mapping[str, Level] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """How much more than before: CPUs of system time, CPUs of use, threads. Never negative."""

    system: float = 0.0
    used: float = 0.0
    threads: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rises:
    """The rises in a window. ``threads`` names their source, None where there is none."""

    outside: Rise
    pods: Mapping[str, Rise]
    threads: Literal["runnable", "pids"] | None


def find_baseline(
    samples: Sequence[NodeUsage], *, longest_gap: Nanoseconds, least: float
) -> Baseline:
    """Median levels over a quiet time; intervals longer than ``longest_gap`` are left out.

    A pod that appears in that time is new, not only newly seen, if its counter says that it
    cannot have used ``least`` CPUs before.
    """
    intervals = [pair for pair in pairwise(samples) if pair[1].at - pair[0].at <= longest_gap]
    uids = {uid for sample in samples for uid in sample.pods}
    return Baseline(
        since=samples[0].at,
        until=samples[-1].at,
        outside=Level(
            system=_median(_outside_rate(interval, "system") for interval in intervals),
            used=_median(_outside_rate(interval, "used") for interval in intervals),
            runnable=_median(_outside_runnable(sample) for sample in samples),
        ),
        pods={uid: _pod_baseline(uid, samples, intervals, least) for uid in uids},
    )


def find_rises(baseline: Baseline, recent: Sequence[NodeUsage], *, least: float) -> Rises | None:
    """Rises of the pods in the last sample; None where the node's own CPU use is unknown."""
    before = {
        uid: _expected(uid, recent, baseline, least)
        for uid in recent[-1].pods
        if not _restarted(uid, recent)
    }
    used = _cpu_rises(recent, before, baseline.outside, "used")
    if used is None:
        return None
    system = _cpu_rises(recent, before, baseline.outside, "system") or {}
    source, threads = _thread_rises(recent, before, baseline.outside)
    rises = {
        uid: Rise(
            system=system.get(uid, 0.0), used=used.get(uid, 0.0), threads=threads.get(uid, 0.0)
        )
        for uid in (OUTSIDE, *before)
    }
    return Rises(outside=rises.pop(OUTSIDE), pods=rises, threads=source)


def _counter(usage: NodeUsage | PodUsage | Level, name: _Counter) -> float | None:
    return usage.used if name == "used" else usage.system


def _pod_rate(uid: str, interval: _Interval, name: _Counter) -> float | None:
    delta = _pod_spent(uid, interval, name)
    return None if delta is None else delta / (interval[1].at - interval[0].at)


def _pod_spent(uid: str, interval: _Interval, name: _Counter) -> float | None:
    earlier, later = interval[0].pods.get(uid), interval[1].pods.get(uid)
    if earlier is None or later is None:
        return None
    return spent(_counter(earlier, name), _counter(later, name))


def _outside_rate(interval: _Interval, name: _Counter) -> float | None:
    whole = spent(_counter(interval[0], name), _counter(interval[1], name))
    if whole is None:
        return None
    inside = sum(_pod_spent(uid, interval, name) or 0 for uid in interval[1].pods)
    return (whole - inside) / (interval[1].at - interval[0].at)


def _outside_runnable(sample: NodeUsage) -> float | None:
    known = [pod.runnable for pod in sample.pods.values() if pod.runnable is not None]
    if sample.runnable is None or len(known) < len(sample.pods):
        return None
    return sample.runnable - sum(known)


def _pod_baseline(
    uid: str, samples: Sequence[NodeUsage], intervals: Sequence[_Interval], least: float
) -> Level:
    found = [sample.pods.get(uid) for sample in samples]
    index, first = next((index, pod) for index, pod in enumerate(found) if pod is not None)
    absent = samples[index].at - samples[0].at
    zeros = [0.0] * index if _is_new(first, absent, least) else []
    seen = [pod for pod in found if pod is not None]

    def rate(name: _Counter) -> float | None:
        bound = _counter(first, name)
        return _median(
            (None if bound is None else bound / absent)
            if interval[1].at <= samples[index].at
            else _pod_rate(uid, interval, name)
            for interval in intervals
        )

    return Level(
        system=rate("system"),
        used=rate("used"),
        runnable=_median([*zeros, *(pod.runnable for pod in seen)]),
        pids=_median([*zeros, *(pod.pids for pod in seen)]),
    )


def _expected(uid: str, recent: Sequence[NodeUsage], baseline: Baseline, least: float) -> Level:
    """A pod's baseline. One that was not seen before is bounded by what its counter says."""
    known = baseline.pods.get(uid)
    if known is not None:
        return known
    first = next(sample.pods[uid] for sample in recent if uid in sample.pods)
    absent = max(1, baseline.until - baseline.since)
    threads = 0.0 if _is_new(first, absent, least) else None
    return Level(
        system=None if first.system is None else first.system / absent,
        used=None if first.used is None else first.used / absent,
        runnable=threads,
        pids=threads,
    )


def _is_new(first: PodUsage, absent: int, least: float) -> bool:
    return first.used is not None and first.used < absent * least


def _restarted(uid: str, recent: Sequence[NodeUsage]) -> bool:
    """Whether counters went backwards: the cgroup was made again, its baseline is another's."""
    pods = [sample.pods[uid] for sample in recent if uid in sample.pods]
    known = [pod.used for pod in pods if pod.used is not None]
    return any(later < earlier for earlier, later in pairwise(known))


def _cpu_rises(
    recent: Sequence[NodeUsage], before: Mapping[str, Level], outside: Level, name: _Counter
) -> dict[str, float] | None:
    """Mean CPUs over the window minus the baseline."""
    whole = spent(_counter(recent[0], name), _counter(recent[-1], name))
    length = recent[-1].at - recent[0].at
    if whole is None:
        return None
    rises: dict[str, float] = {}
    inside = 0.0
    for uid, level in before.items():
        base = _counter(level, name)
        if base is not None:
            used = sum(_pod_spent(uid, interval, name) or 0 for interval in pairwise(recent))
            inside += used
            rises[uid] = max(0.0, used / length - base)
    base = max(0.0, _counter(outside, name) or 0.0)
    rises[OUTSIDE] = max(0.0, (whole - inside) / length - base)
    return rises


def _thread_rises(
    recent: Sequence[NodeUsage], before: Mapping[str, Level], outside: Level
) -> tuple[Literal["runnable", "pids"] | None, dict[str, float]]:
    """Runnable threads where they are counted, else all threads of pods.

    A pod without a baseline of runnable threads has had at most all of its threads.
    """
    counted = [sample for sample in recent if sample.runnable is not None]
    now = {uid: _mean(uid, counted, lambda pod: pod.runnable) for uid in before}
    if any(count is not None for count in now.values()):
        inside = 0.0
        rises: dict[str, float] = {}
        bases = {
            uid: level.pids if level.runnable is None else level.runnable
            for uid, level in before.items()
        }
        if all(base is None for base in bases.values()):
            return None, {}  # as where there is no pids controller
        for uid, base in bases.items():
            count = now[uid]
            if count is not None and base is not None:
                inside += count
                rises[uid] = max(0.0, count - base)
        whole = fmean(sample.runnable or 0.0 for sample in counted)
        rises[OUTSIDE] = max(0.0, whole - inside - max(0.0, outside.runnable or 0.0))
        return "runnable", rises
    rises = {}
    for uid, level in before.items():
        count = _mean(uid, recent, lambda pod: pod.pids)
        if count is not None and level.pids is not None:
            rises[uid] = max(0.0, count - level.pids)
    return ("pids" if rises else None), rises


def _mean(
    uid: str, samples: Sequence[NodeUsage], of: Callable[[PodUsage], float | None]
) -> float | None:
    """The mean over all samples; a sample without the pod, or without its value, counts as 0."""
    found = [of(sample.pods[uid]) for sample in samples if uid in sample.pods]
    known = [value for value in found if value is not None]
    return sum(known) / len(samples) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
