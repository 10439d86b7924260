"""Limits on events: by rate, and by repetition."""

from k40s.kube.events import MINUTE, RateLimit, RepeatLimit
from k40s.units import Nanoseconds


class Clock:
    time = 0

    def __call__(self) -> int:
        return self.time


def test_a_rate_limit_allows_so_many_in_any_minute() -> None:
    clock = Clock()
    rate = RateLimit(2, clock=clock)
    allowed = []
    for time in (0, 1, 2, MINUTE - 1, MINUTE, MINUTE, MINUTE + 1):
        clock.time = time
        allowed.append(rate.allows())
        if allowed[-1]:
            rate.count()

    assert allowed == [True, True, False, False, True, False, True]


def test_a_rate_limit_knows_the_shares_of_the_last_events() -> None:
    rate = RateLimit(3, clock=Clock())

    for label in "aabb":
        rate.count(label)

    assert rate.shares() == {"a": 1, "b": 2}


def test_a_repeat_limit_allows_a_key_again_after_the_interval_and_counts_meanwhile() -> None:
    clock = Clock()
    repeats: RepeatLimit[str] = RepeatLimit(Nanoseconds(10), clock=clock)
    repeats.count("a")
    clock.time = 9
    early = repeats.allows("a")
    repeats.hold_back("a")
    repeats.hold_back("a")
    clock.time = 10

    assert (early, repeats.allows("a"), repeats.allows("b")) == (False, True, True)
    assert repeats.held_back("a") == (2, 10)
    repeats.count("a")
    assert repeats.held_back("a") == (0, 0)


def test_a_repeat_limit_forgets_the_oldest_beyond_its_capacity() -> None:
    repeats: RepeatLimit[str] = RepeatLimit(Nanoseconds(10), clock=Clock(), capacity=2)

    for key in "abac":
        repeats.count(key)

    assert [repeats.allows(key) for key in "abc"] == [False, True, False]


def test_a_repeat_limit_keeps_only_the_keys_that_are_concerned() -> None:
    repeats: RepeatLimit[str] = RepeatLimit(Nanoseconds(10), clock=Clock())
    repeats.count("a")
    repeats.count("b")

    repeats.keep_only({"b"})

    assert [repeats.allows(key) for key in "ab"] == [True, False]
