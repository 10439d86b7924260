"""The figures of the response to a culprit, and what it is judged by."""

from dataclasses import dataclass, replace
from enum import StrEnum, unique
from fractions import Fraction

from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Step
from k40s.assurance.response.harm import Harm
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A step of the escalation, taken ``after`` so long in which the one before did not help."""

    step: Step
    after: Nanoseconds = Nanoseconds(0)

    def __post_init__(self) -> None:
        if self.after < 0:
            raise ValueError(f"the step {self.step} cannot be taken before the one before it")


EVERY_RUNG = (
    Rung(step=Step.QUOTA),
    Rung(step=Step.MOVE, after=Nanoseconds(2 * NS_PER_S)),
    Rung(step=Step.FREEZE, after=Nanoseconds(2 * NS_PER_S)),
    Rung(step=Step.EVICT, after=Nanoseconds(3 * NS_PER_S)),
    Rung(step=Step.KILL, after=Nanoseconds(60 * NS_PER_S)),
)
"""All steps; a policy has those that its operator allows. An eviction has a minute before the pod
is killed: its budget is asked about every 15 s."""


LEAST_QUOTA, MOST_QUOTA = Fraction(1, 100), Fraction(1)
"""CPUs; the least is 1 ms in 100 ms, the shortest quota that the kernel takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsePolicy:
    """How a culprit is treated. Without rungs culprits are named, and left alone."""

    rungs: tuple[Rung, ...] = (
        Rung(step=Step.QUOTA),
        Rung(step=Step.FREEZE, after=Nanoseconds(2 * NS_PER_S)),
        Rung(step=Step.EVICT, after=Nanoseconds(3 * NS_PER_S)),
    )
    """The steps in their order; measured: what one of them gives back, it does within 100 ms."""
    quota: Fraction = Fraction(1, 10)
    """What a throttled pod keeps, in CPUs. For that share of time its harm goes on: beside `open` a
    real-time thread's 99th percentile is three to eight times that of quiet, its median as then."""
    reconsider: Nanoseconds = Nanoseconds(2_500 * NS_PER_MS)
    """Time between two acts where a gauge tells of harm: 2 to 3 s, five windows of pressure."""
    reconsider_by_alarm: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """The same where only the alarm tells, which clears up to 3.7 s after a hazard's end."""
    settle: Nanoseconds = Nanoseconds(2 * NS_PER_S)
    """Calm that has lasted so long while a pod is held is put down to the hold."""
    cooldown: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """Calm before a hold is undone; doubles with each release that brought the hazard back…"""
    longest_cooldown: Nanoseconds = Nanoseconds(600 * NS_PER_S)
    """…up to this."""
    relapse: Nanoseconds = Nanoseconds(15 * NS_PER_S)
    """A hazard within so long of a release is the released pod's, if attribution agrees or has no
    baseline. Pods are released so far apart, one at a time."""
    at_once: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """Harm within so long of a release is the released pod's though no alarm is raised yet."""
    longest_hold: Nanoseconds = Nanoseconds(900 * NS_PER_S)
    """A hold in spite of which the hazard lasts so long is undone."""
    acts_per_hour: int = 12
    """Steps taken on this node in an hour, undoing aside."""
    destructive_per_hour: int = 2
    """Pods evicted or killed on this node in an hour, attempts included."""
    answer: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """An act without an answer for so long has failed."""
    retry: Nanoseconds = Nanoseconds(60 * NS_PER_S)
    """A pod whose eviction was refused is not evicted again for so long."""
    only_harmful: bool = True
    """Whether a gauge without harm keeps every pod free, whatever the alarm says."""
    destructive_metrics: frozenset[Metric] = frozenset({Metric.CPU_SYSTEM})
    """Alarms that justify eviction where no gauge tells of harm: time in the kernel, of which
    ordinary threads are deprived. ``run-queue`` does not, nor ``kernel-queue``, which is that times
    ``cpu-system``: a quota ends a queue. ``kernel-stretch`` speaks for real-time tasks, and is as
    active for stress that harms none of them. Other metrics have no rule of their own, and were not
    measured."""

    def __post_init__(self) -> None:
        ranks = [rung.step.rank for rung in self.rungs]
        if ranks != sorted(set(ranks)):
            raise ValueError("the steps of a response go from quota to kill, each once")
        if not LEAST_QUOTA <= self.quota <= MOST_QUOTA:
            raise ValueError("the quota of a response lies in 0.01 to 1")
        if not 0 < self.reconsider <= self.reconsider_by_alarm:
            raise ValueError("a response breaks 0 < reconsider <= reconsider_by_alarm")
        if not 0 < self.settle <= self.cooldown <= self.longest_cooldown <= self.longest_hold:
            raise ValueError(
                "a response breaks 0 < settle <= cooldown <= longest_cooldown <= longest_hold"
            )
        if not 0 < self.at_once <= self.relapse:
            raise ValueError("a response breaks 0 < at_once <= relapse")
        if not 0 <= self.destructive_per_hour <= self.acts_per_hour:
            raise ValueError("a response breaks 0 <= destructive_per_hour <= acts_per_hour")
        if self.answer <= 0 or self.retry <= 0:
            raise ValueError("a response waits for answers, and before it tries again")

    @property
    def strongest_hold(self) -> Step | None:
        """The last reversible step, None where there is none."""
        steps = [rung.step for rung in self.rungs if rung.step.reversible]
        return steps[-1] if steps else None

    def without(self, step: Step) -> "ResponsePolicy":
        """The same without a step that cannot be taken now."""
        return replace(self, rungs=tuple(rung for rung in self.rungs if rung.step is not step))

    def after(self, reached: Step) -> Rung | None:
        """The rung after a step."""
        later = [rung for rung in self.rungs if rung.step.rank > reached.rank]
        return later[0] if later else None


@unique
class Block(StrEnum):
    """Why a step was not taken though the hazard lasts."""

    LIMIT = "limit"
    """So many acts in an hour are the limit."""
    NO_GAUGE = "no-gauge"
    """Nothing tells of harm, and the alarm alone does not justify a destructive step."""
    REFUSED = "refused"
    """An eviction was refused a short time ago."""
    ENDING = "ending"
    """The pod is being deleted, and a frozen one could not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """The node's state: active alarms, and whether critical pods suffer (None: no gauge)."""

    metrics: tuple[Metric, ...] = ()
    harmed: bool | None = None
    harm: tuple[Harm, ...] = ()
