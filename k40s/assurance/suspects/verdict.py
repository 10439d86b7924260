"""Stage 2 of the monitor: names the pod of lower criticality that causes a hazard.

Each pod's share of the rise in system time, CPU use and runnable threads, averaged; the
denominators hold every pod and everything outside the pods. Of some 47 rules measured on 200
labelled runs this one was best: 73 of 73 named rightly, nobody for a host process
(docs/assurance.md). Where nobody's system time rises, as with CPU hogs, the other two are the
score. A pod that merely starts has no threads that wait, so threads must be one of them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum, unique

from k40s.assurance.suspects.rises import OUTSIDE, Rise, Rises
from k40s.assurance.suspects.usage import NodeUsage
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionPolicy:
    """The figures of the attribution rule, all from the same measured runs unless they say else."""

    baseline: Nanoseconds = Nanoseconds(26 * NS_PER_S)
    """Quiet time that the baseline is the median of; 12, 20 and 30 s made no difference."""
    least_baseline: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """Less quiet time than this is no baseline, and nobody is named: without one, the largest
    user was the culprit in 42 to 55 % of adversarial scenes, whatever its share."""
    spacing: Nanoseconds = Nanoseconds(450 * NS_PER_MS)
    """Baseline samples lie at least so far apart; bounds the cost of faster sampling."""
    eve: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """The end of the quiet time, a second baseline: load that was there by then is not the cause.
    Its median ignores a hazard that is noticed up to half of this late."""
    eve_margin: float = 1.5
    """Whom the second baseline accuses has so many times the next one's share by the first."""
    longest_gap: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """Intervals between samples that are longer than this say nothing about the baseline."""
    stale: Nanoseconds = Nanoseconds(120 * NS_PER_S)
    """Quiet samples older than this are forgotten, though a hazard has hidden later ones."""
    calm: Nanoseconds = Nanoseconds(4 * NS_PER_S)
    """So long without a high sample and without an alarm, and the baseline moves on again."""
    lapse: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """High samples that raise no alarm for so long are ordinary: the baseline moves on again."""
    window: Nanoseconds = Nanoseconds(2 * NS_PER_S)
    """The rise is the mean over so much; 1 and 2 s were right in all runs, 4 s in 91 %."""
    least_cpus: float = 0.1
    """Shares of CPU time count if someone's rise is this large; .05 named a starting pod."""
    least_threads: float = 2.0
    """Shares of threads count if someone's rise is this large; 1 named a starting pod."""
    whole_cpus: float = 0.3
    """A share is one of at least so many CPUs: all of a small rise is not all of a hazard."""
    whole_threads: float = 4.0
    """The same of threads."""
    share: float = 0.5
    """The least mean share of a culprit; .4 to .6 made no difference."""
    margin: float = 2.0
    """A culprit has so many times the share of the next."""
    pair_share: float = 0.7
    """The least share of two culprits together…"""
    second_share: float = 0.25
    """…and of the second, which has ``margin`` times the share of the third."""
    about_equal: float = 0.8
    """Of two, one with so much of the other's share may lead next time, by noise alone."""
    agreeing: int = 2
    """So many successive samples name the same pod; one alone was right in 96 %."""

    def __post_init__(self) -> None:
        if not 0 < self.spacing < self.longest_gap <= self.least_baseline <= self.baseline:
            raise ValueError(
                "attribution breaks 0 < spacing < longest_gap <= least_baseline <= baseline"
            )
        if self.stale < self.baseline:
            raise ValueError("attribution forgets samples before they make a baseline")
        if not 2 * self.spacing < self.eve <= self.least_baseline:
            raise ValueError("attribution breaks 2 spacing < eve <= least_baseline")
        if min(self.calm, self.lapse, self.window) <= 0:
            raise ValueError("attribution needs positive times")
        if self.least_cpus <= 0 or self.least_threads <= 0:
            raise ValueError("attribution needs a least rise, or a pod that starts is accused")
        if self.whole_cpus < self.least_cpus or self.whole_threads < self.least_threads:
            raise ValueError("attribution breaks least rise <= whole")
        if not 0 < self.share <= 1 or not 0 < 2 * self.second_share <= self.pair_share <= 1:
            raise ValueError("attribution breaks 0 < share <= 1, 2 second_share <= pair_share <= 1")
        if not 0 < self.about_equal <= 1:
            raise ValueError("attribution breaks 0 < about_equal <= 1")
        if min(self.margin, self.eve_margin, self.agreeing) < 1:
            raise ValueError("attribution needs margins and a number of samples of 1 or more")


@unique
class Verdict(StrEnum):
    """What attribution has found. Only ``NAMED`` allows an act."""

    NAMED = "named"
    UNCONFIRMED = "unconfirmed"
    """A pod leads clearly, in too few samples so far."""
    OUTSIDE = "outside"
    """Host processes, kernel threads or pods that may run on other CPUs too lead."""
    PROTECTED = "protected"
    """A pod that is never named leads: of the system, of equal or higher criticality, cleared."""
    HELD = "held"
    """A pod that is held already leads."""
    UNCLEAR = "unclear"
    """Nobody leads clearly."""
    NO_BASELINE = "no-baseline"
    """The monitor has not watched long enough before the hazard."""
    NO_SUSPECT = "no-suspect"
    """No pod on the node has a lower criticality than the threatened one."""
    INCOMPLETE = "incomplete"
    """The CPU use of the node, or of all pods of lower criticality, is unknown."""


@unique
class Role(StrEnum):
    """Who a part of the rise belongs to."""

    SUSPECT = "suspect"
    PROTECTED = "protected"
    HELD = "held"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A pod's part of the rise, 0 to 1 each. ``kinds`` is 2 where system time does not count."""

    uid: str
    name: str
    role: Role
    rise: Rise
    system: float
    used: float
    threads: float
    kinds: int = 3

    @property
    def score(self) -> float:
        """What pods are ranked by: the mean over the kinds."""
        return (self.system + self.used + self.threads) / self.kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict and its evidence. ``shares`` are sorted, the largest first.

    ``culprit`` is there when named or unconfirmed. ``onset`` is the first high sample.
    """

    verdict: Verdict
    at: Nanoseconds
    onset: Nanoseconds
    window: Nanoseconds
    threatened: Criticality
    culprit: Share | None = None
    shares: tuple[Share, ...] = ()
    threads: str | None = None


def find_culprit(
    shares: tuple[Share, ...], policy: AttributionPolicy, *, last: str | None = None
) -> Share | None:
    """The suspect that leads all others clearly, or one of two that do so together.

    Of two about equal ones, the one that was found ``last`` stays, so that noise does not make them
    take turns. The other of two may be held already: then its share is what the hold leaves.
    """
    scores = [share.score for share in shares] + [0.0] * 3
    first = shares[0]
    alone = scores[0] >= policy.share and scores[0] >= policy.margin * scores[1]
    if alone and first.role is Role.SUSPECT:
        return first
    pair = shares[:2]
    together = (
        all(share.role in {Role.SUSPECT, Role.HELD} for share in pair)
        and scores[0] + scores[1] >= policy.pair_share
        and scores[1] >= policy.second_share
        and scores[1] >= policy.margin * scores[2]
    )
    if not together:
        return None
    suspects = [share for share in pair if share.role is Role.SUSPECT]
    leader = next(iter(suspects), None)
    if leader is None:
        return None
    equal = (share for share in suspects if share.score >= policy.about_equal * leader.score)
    return next((share for share in equal if share.uid == last), leader)


def is_lower(sample: NodeUsage, uid: str, threatened: Criticality) -> bool:
    """Whether a pod may be named at all."""
    return not sample.pods[uid].protected and sample.pods[uid].criticality < threatened


def why_nobody(shares: tuple[Share, ...]) -> Verdict:
    """The verdict where there is no culprit, by who leads."""
    first = shares[0]
    if first.score == 0 or first.role is Role.SUSPECT:
        return Verdict.UNCLEAR
    return {
        Role.OUTSIDE: Verdict.OUTSIDE,
        Role.PROTECTED: Verdict.PROTECTED,
        Role.HELD: Verdict.HELD,
    }[first.role]


def share_out(
    rises: Rises,
    sample: NodeUsage,
    policy: AttributionPolicy,
    *,
    threatened: Criticality,
    held: Collection[str],
    cleared: Collection[str],
) -> tuple[Share, ...]:
    """Everyone's shares, the largest first; OUTSIDE is always among them."""
    everyone = {OUTSIDE: rises.outside, **rises.pods}

    def parts(values: dict[str, float], least: float, whole: float) -> dict[str, float]:
        whole = max(whole, sum(values.values()))
        if max(values.values()) < least:
            return dict.fromkeys(values, 0.0)
        return {uid: value / whole for uid, value in values.items()}

    system = parts(
        {uid: rise.system for uid, rise in everyone.items()}, policy.least_cpus, policy.whole_cpus
    )
    used = parts(
        {uid: rise.used for uid, rise in everyone.items()}, policy.least_cpus, policy.whole_cpus
    )
    threads = parts(
        {uid: rise.threads for uid, rise in everyone.items()},
        policy.least_threads,
        policy.whole_threads,
    )
    kinds = 2 if not any(system.values()) and any(used.values()) and any(threads.values()) else 3

    def role(uid: str) -> Role:
        if uid == OUTSIDE:
            return Role.OUTSIDE
        if uid in cleared or not is_lower(sample, uid, threatened):
            return Role.PROTECTED
        return Role.HELD if uid in held else Role.SUSPECT

    shares = [
        Share(
            uid=uid,
            name="" if uid == OUTSIDE else sample.pods[uid].name,
            role=role(uid),
            rise=rise,
            system=system[uid],
            used=used[uid],
            threads=threads[uid],
            kinds=kinds,
        )
        for uid, rise in everyone.items()
    ]
    return tuple(sorted(shares, key=lambda share: (-share.score, share.uid)))
