"""Attribution written a second time, plainly: tables of all samples, everything from the start.

For samples in which nothing is missing and all pods exist from the beginning. It shares no code
with ``suspects.attribution``, only the values that come in, and its figures are its own.
"""

from collections.abc import Sequence
from statistics import median

from k40s.assurance.suspects.usage import NodeUsage
from k40s.criticality import Criticality

SECOND = 1_000_000_000


def culprits(
    samples: Sequence[NodeUsage], first_high: int, first_alarm: int, threatened: Criticality
) -> list[str | None]:
    """Who leads at each sample from the alarm on; both indices are of samples.

    From the first high sample on every sample is taken to be high.
    """
    return [
        leader(samples, first_high, now, threatened) for now in range(first_alarm, len(samples))
    ]


def leader(
    samples: Sequence[NodeUsage], first_high: int, now: int, threatened: Criticality
) -> str | None:
    """By all of the quiet time; else by its last 5 s whoever is far ahead by all of it."""
    if samples[now].at - samples[max(first_high - 1, two_seconds_before(samples, now))].at < SECOND:
        return None
    scores = score(samples, first_high, now, 26)
    found = verdict(samples[now], scores, threatened)
    if found is not None:
        return found
    top = max(sorted(scores), key=lambda uid: scores[uid])
    rest = max((value for uid, value in scores.items() if uid != top), default=0.0)
    again = verdict(samples[now], score(samples, first_high, now, 5), threatened)
    return again if again == top and scores[top] >= 1.5 * rest else None


def verdict(sample: NodeUsage, scores: dict[str, float], threatened: Criticality) -> str | None:
    order = sorted(scores, key=lambda uid: (-scores[uid], uid))
    pods = sample.pods
    fair = [
        uid
        for uid in order
        if uid and not pods[uid].protected and pods[uid].criticality < threatened
    ]
    values = [scores[uid] for uid in order] + [0.0, 0.0]
    if order[0] in fair and values[0] >= 0.5 and values[0] >= 2 * values[1]:
        return order[0]
    if set(order[:2]) <= set(fair) and len(order) > 1:
        clear = values[1] >= 0.25 and values[1] >= 2 * values[2]
        if clear and values[0] + values[1] >= 0.7:
            return order[0]
    return None


def score(
    samples: Sequence[NodeUsage], first_high: int, now: int, seconds: int
) -> dict[str, float]:
    """Mean shares of the rises by pod over so many seconds of quiet; "" is everything else."""
    begin = max(first_high - 1, two_seconds_before(samples, now))
    quiet = range(first_high)
    last = samples[quiet[-1]].at
    kept = [index for index in quiet if last - samples[index].at <= seconds * SECOND]
    kinds: list[tuple[dict[str, float], float, float]] = []
    for counter in ("system", "used"):
        rise = {}
        for uid in ("", *samples[now].pods):
            before = median(rate(samples, index, index + 1, uid, counter) for index in kept[:-1])
            rise[uid] = max(0.0, rate(samples, begin, now, uid, counter) - max(0.0, before))
        kinds.append((rise, 0.1, 0.3))
    rise = {}
    for uid in ("", *samples[now].pods):
        before = median(threads(samples[index], uid) for index in kept)
        window = [threads(samples[index], uid) for index in range(begin, now + 1)]
        rise[uid] = max(0.0, sum(window) / len(window) - max(0.0, before))
    kinds.append((rise, 2.0, 4.0))
    counts = [max(rise.values()) >= least for rise, least, _ in kinds]
    parts = [
        (rise, max(whole, sum(rise.values())))
        for (rise, _, whole), large in zip(kinds, counts, strict=True)
        if large
    ]
    number = 2 if counts == [False, True, True] else 3
    return {uid: sum(rise[uid] / whole for rise, whole in parts) / number for uid in kinds[0][0]}


def two_seconds_before(samples: Sequence[NodeUsage], now: int) -> int:
    return max(index for index in range(now) if samples[index].at <= samples[now].at - 2 * SECOND)


def rate(samples: Sequence[NodeUsage], earlier: int, later: int, uid: str, counter: str) -> float:
    length = samples[later].at - samples[earlier].at
    return (total(samples[later], uid, counter) - total(samples[earlier], uid, counter)) / length


def total(sample: NodeUsage, uid: str, counter: str) -> int:
    if uid:
        return int(getattr(sample.pods[uid], counter))
    return int(getattr(sample, counter)) - sum(
        getattr(pod, counter) for pod in sample.pods.values()
    )


def threads(sample: NodeUsage, uid: str) -> float:
    if uid:
        return sample.pods[uid].runnable or 0.0
    return (sample.runnable or 0.0) - sum(pod.runnable or 0.0 for pod in sample.pods.values())
