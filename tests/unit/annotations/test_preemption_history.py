import pytest

from k40s.annotations.preemption_history import (
    KEPT,
    MAX_PREEMPTIONS,
    PastPreemption,
    PreemptionHistory,
    format_preemptions,
    parse_preemptions,
)
from k40s.errors import InvalidAnnotationError
from k40s.units import NS_PER_S

AT = 1_800_000_000 * NS_PER_S


def entry(uid: str, at: int = AT, victims: int = 2) -> PastPreemption:
    return PastPreemption(at=at, uid=uid, namespace="plant", victims=victims)


def test_what_is_written_is_read_again() -> None:
    history = PreemptionHistory(entries=(entry("u1"), entry("u2", AT + 1_000, 0)))

    assert parse_preemptions(format_preemptions(history)) == history
    assert parse_preemptions(format_preemptions(PreemptionHistory())) == PreemptionHistory()


def test_the_longest_history_can_be_read_again() -> None:
    entries = [
        PastPreemption(at=AT, uid="u" * 36, namespace="n" * 63, victims=64)
        for _ in range(MAX_PREEMPTIONS)
    ]

    assert parse_preemptions(format_preemptions(PreemptionHistory(entries=tuple(entries))))


def test_what_no_limit_looks_at_is_forgotten() -> None:
    history = PreemptionHistory(entries=(entry("old", AT - KEPT), entry("new", AT - KEPT + 1)))

    assert [one.uid for one in history.plus(entry("u")).entries] == ["new", "u"]


def test_one_that_evicted_nobody_is_taken_back() -> None:
    history = PreemptionHistory(entries=(entry("u"), entry("u", AT + 1)))

    assert history.has("u", AT)
    assert not history.without("u", AT).has("u", AT)
    assert history.without("u", AT).last_of("u") == AT + 1
    assert history.last_of("x") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"v":1}',
        '{"v":2,"preemptions":[]}',
        '{"v":1,"preemptions":[{"at":"x","pod":"u","namespace":"n","victims":1}]}',
        '{"v":1,"preemptions":[{"at":"2026-01-01T00:00:00Z","pod":"","namespace":"n","victims":1}]}',
        '{"v":1,"preemptions":[{"at":"2026-01-01T00:00:00Z","pod":"u","namespace":"n","victims":65}]}',
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnnotationError):
        parse_preemptions(text)
