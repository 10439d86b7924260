"""A node of one CPU in simulated time: pods, host processes and stress, sampled as in production.

The stress classes have the figures that were measured with stress-ng beside eleven pods on a CPU
of which about 45 % were busy (docs/assurance.md): CPU use and system time of the noisy pod, time in
kernel threads that is charged to nobody, and threads. CPU time is shared evenly between groups, as
cgroups of equal shares do. Alarms come from the built-in rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from k40s.assurance.detector import DEFAULT_RULES, AlarmState, observe
from k40s.assurance.metrics import Metric
from k40s.assurance.suspects.attribution import AttributionState, attribute
from k40s.assurance.suspects.usage import NodeUsage, PodUsage
from k40s.assurance.suspects.verdict import AttributionPolicy, Finding, Verdict
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

CPUS = frozenset({1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a group asks of the CPU: a share of it, how much of that in the kernel, threads."""

    used: float = 0.0
    kernel: float = 0.2
    threads: float = 0.0
    idle_threads: int = 2

    def __add__(self, other: "Load") -> "Load":
        used = self.used + other.used
        kernel = self.used * self.kernel + other.used * other.kernel
        return Load(
            used=used,
            kernel=kernel / used if used else 0.0,
            threads=self.threads + other.threads,
            idle_threads=self.idle_threads + other.idle_threads,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """A class of stress-ng: the pod's load, and what the kernel does for it outside the pod."""

    load: Load
    outside: float


def _stress(system: float, used: float, outside: float, threads: float) -> Stress:
    load = Load(used=5.0, kernel=min(1.0, system / used), threads=threads, idle_threads=9)
    return Stress(load=load, outside=outside)


STRESS = {
    "open": _stress(0.50, 0.51, 0.01, 6.1),
    "fork": _stress(0.47, 0.52, 0.01, 9.0),
    "udp": _stress(0.52, 0.53, 0.02, 5.9),
    "netdev": _stress(0.50, 0.55, 0.00, 5.3),
    "io": _stress(0.32, 0.34, 0.20, 7.1),
    "udp+io": _stress(0.41, 0.42, 0.14, 7.6),
    "hdd": _stress(0.24, 0.50, 0.01, 6.6),
    "cpu": _stress(0.00, 0.55, 0.00, 6.0),
    "cpu+udp": _stress(0.28, 0.54, 0.02, 6.0),
    "cpu+hdd": _stress(0.12, 0.52, 0.01, 5.8),
}

Timeline = Callable[[float], Load | None]
"""A group's load at a second; None while the pod does not exist."""


def steady(load: Load) -> Timeline:
    return lambda _: load


def during(begin: float, end: float, load: Load, otherwise: Load | None = None) -> Timeline:
    """A load between two seconds."""
    before = Load() if otherwise is None else otherwise
    return lambda second: before + load if begin <= second < end else before


@dataclass(slots=True, kw_only=True)
class Group:
    """A pod of the scene."""

    timeline: Timeline
    criticality: Criticality = Criticality.NO
    protected: bool = False
    used: float = 0.0
    system: float = 0.0


def background() -> dict[str, Group]:
    """Eleven pods of mixed kinds: a critical one, seven at work, three idle."""
    loads = {
        "server": Load(used=0.01, kernel=0.5),
        "periodic": Load(used=0.04, kernel=0.05),
        "gzip": Load(used=0.06, kernel=0.1, threads=0.3),
        "writer": Load(used=0.03, kernel=0.7),
        "talker": Load(used=0.02, kernel=0.9),
        "shell": Load(used=0.04, kernel=0.7, threads=0.1),
        "web": Load(used=0.03, kernel=0.3),
        "idle-a": Load(),
        "idle-b": Load(),
        "sleeper": Load(used=0.03, kernel=0.1),
    }
    pods = {name: Group(timeline=steady(load)) for name, load in loads.items()}
    critical = steady(Load(used=0.17, kernel=0.05, threads=0.2))
    return pods | {"critical": Group(timeline=critical, criticality=Criticality.HI)}


@dataclass(slots=True, kw_only=True)
class Scene:
    """Samples of a node, one each ``period``, that follow from the groups' timelines.

    ``hidden`` leaves out what a kernel may not offer: "runnable", "pids", "system".
    ``totals`` gives the pods' cpusets, as where only totals exist.
    """

    seed: int
    pods: dict[str, Group] = field(default_factory=background)
    host: Timeline = field(default_factory=lambda: steady(Load(used=0.03, kernel=0.6)))
    kernel: Callable[[float], float] = lambda _: 0.0
    period: Nanoseconds = Nanoseconds(500 * NS_PER_MS)
    hidden: frozenset[str] = frozenset()
    totals: Mapping[str, frozenset[int]] = field(default_factory=dict)
    at: int = 1000 * NS_PER_S
    _host: Group = field(default_factory=lambda: Group(timeline=steady(Load())))
    _used: float = 0.0
    _system: float = 0.0
    _second: float = 0.0
    _chance: Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)

    @property
    def host_used(self) -> float:
        """CPU seconds of host processes."""
        return self._host.used

    def sample(self) -> NodeUsage:
        """Let a period pass."""
        step = self.period / NS_PER_S
        loads = {
            uid: self._noisy(load)
            for uid, pod in self.pods.items()
            if (load := pod.timeline(self._second)) is not None
        }
        host = self.host(self._second)
        assert host is not None, "a host is always there"
        loads[""] = self._noisy(host)
        outside = min(0.5, max(0.0, self.kernel(self._second) * self._chance.gauss(1, 0.1)))
        granted = _share_evenly({uid: load.used for uid, load in loads.items()}, 1 - outside)
        self._second += step
        self.at += self.period
        self._used += outside * step
        self._system += outside * step
        running = 0.0
        found = {}
        for uid, load in loads.items():
            group = self._host if uid == "" else self.pods[uid]
            used = granted[uid] * step
            group.used += used
            group.system += used * min(1.0, max(0.0, load.kernel * self._chance.gauss(1, 0.05)))
            self._used += used
            self._system += used * load.kernel
            threads = float(max(0, round(load.threads + self._chance.gauss(0, 0.5))))
            running += threads
            if uid:
                found[uid] = self._usage(uid, group, load, threads)
        return NodeUsage(
            at=Nanoseconds(self.at),
            cpus=CPUS,
            used=round(self._used * NS_PER_S),
            system=None if "system" in self.hidden else round(self._system * NS_PER_S),
            runnable=None if "runnable" in self.hidden else running,
            pods=found,
        )

    def _usage(self, uid: str, group: Group, load: Load, threads: float) -> PodUsage:
        return PodUsage(
            name=f"default/{uid}",
            criticality=group.criticality,
            protected=group.protected,
            used=round(group.used * NS_PER_S),
            system=None if "system" in self.hidden else round(group.system * NS_PER_S),
            cpus=self.totals.get(uid),
            runnable=None if "runnable" in self.hidden else threads,
            pids=None if "pids" in self.hidden else load.idle_threads + max(0, round(load.threads)),
        )

    def _noisy(self, load: Load) -> Load:
        burst = 0.15 if self._chance.random() < 0.02 else 0.0
        used = max(0.0, load.used * self._chance.gauss(1, 0.2) + burst)
        return replace(load, used=used)


def _share_evenly(wanted: Mapping[str, float], whole: float) -> dict[str, float]:
    """Max-min fairness: nobody gets more than wanted, the rest is shared evenly."""
    granted: dict[str, float] = {}
    for count, (uid, want) in enumerate(sorted(wanted.items(), key=lambda item: item[1])):
        granted[uid] = min(want, (whole - sum(granted.values())) / (len(wanted) - count))
    return granted


@dataclass(slots=True, kw_only=True)
class Observer:
    """Stage 1 and attribution on a scene's samples. ``forced`` raises an alarm at that second."""

    policy: AttributionPolicy = field(default_factory=AttributionPolicy)
    threatened: Criticality = Criticality.HI
    forced: float | None = None
    held: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    state: AttributionState = field(default_factory=AttributionState)
    alarms: dict[Metric, AlarmState] = field(default_factory=dict)
    raised: Nanoseconds | None = None
    high: bool = False
    alarm: bool = False
    _last: NodeUsage | None = None
    _begun: Nanoseconds | None = None

    def see(self, sample: NodeUsage) -> Finding | None:
        """One sample through the rules and the attribution."""
        self._begun = sample.at if self._begun is None else self._begun
        self._detect(sample)
        if self.forced is not None:
            self.high = self.alarm = sample.at - self._begun >= self.forced * NS_PER_S
        if self.alarm and self.raised is None:
            self.raised = sample.at
        self.state = attribute(
            self.state,
            self.policy,
            sample,
            high=self.high,
            alarm=self.alarm,
            threatened=self.threatened,
            held=self.held,
            cleared=self.cleared,
        )
        return self.state.finding

    def _detect(self, sample: NodeUsage) -> None:
        last, self._last = self._last, sample
        if last is None:
            return
        values = {}
        if sample.system is not None and last.system is not None:
            values[Metric.CPU_SYSTEM] = (sample.system - last.system) / (sample.at - last.at)
        if sample.runnable is not None:
            values[Metric.RUN_QUEUE] = sample.runnable
        if len(values) > 1:
            values[Metric.KERNEL_QUEUE] = values[Metric.CPU_SYSTEM] * values[Metric.RUN_QUEUE]
        for rule in DEFAULT_RULES:
            if rule.metric in values:
                before = self.alarms.get(rule.metric, AlarmState())
                self.alarms[rule.metric] = observe(
                    before, rule, at=sample.at, value=values[rule.metric]
                )
        self.high = any(alarm.suspicious for alarm in self.alarms.values())
        self.alarm = any(alarm.active for alarm in self.alarms.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Who was named first, how long after the alarm, and every verdict by then."""

    alarmed: bool
    named: str | None
    delay: int | None
    verdicts: tuple[Verdict, ...]


def play(scene: Scene, observer: Observer, seconds: float) -> Outcome:
    """Run a scene until a pod is named or the time is over."""
    verdicts = []
    for _ in range(round(seconds * NS_PER_S / scene.period)):
        finding = observer.see(scene.sample())
        if finding is None:
            continue
        verdicts.append(finding.verdict)
        if finding.verdict is Verdict.NAMED and finding.culprit and observer.raised is not None:
            return Outcome(
                alarmed=True,
                named=finding.culprit.uid,
                delay=finding.at - observer.raised,
                verdicts=tuple(verdicts),
            )
    return Outcome(
        alarmed=observer.raised is not None, named=None, delay=None, verdicts=tuple(verdicts)
    )
