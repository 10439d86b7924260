"""Explanations at once: few, and nobody takes the turns or the threads of all others."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from insight.explanations.turns import TooManyExplanationsError, Turns
from k40s.units import NS_PER_S, Nanoseconds

LONG = Nanoseconds(60 * NS_PER_S)


@contextmanager
def waiting(turns: Turns, account: str) -> Iterator[threading.Event]:
    """Another thread that asks for a turn; the event is set while it has one."""
    has, over = threading.Event(), threading.Event()

    def ask() -> None:
        with turns.turn(account):
            has.set()
            over.wait(60)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield has
    finally:
        over.set()
        thread.join()


def await_waiters(turns: Turns, number: int) -> None:
    """Returns once as many wait."""
    while len(turns._waiting) < number:  # noqa: SLF001  # nothing else shows that a thread waits
        threading.Event().wait(0.001)


def test_two_accounts_have_a_turn_at_once_and_a_third_has_none_in_time() -> None:
    turns = Turns(patience=Nanoseconds(0))

    with (
        turns.turn("first"),
        turns.turn("second"),
        pytest.raises(TooManyExplanationsError),
        turns.turn("third"),
    ):
        pass
    with turns.turn("third"):
        pass


def test_an_account_has_one_turn_at_once_though_another_one_is_free() -> None:
    turns = Turns(patience=Nanoseconds(0))

    with turns.turn("first"):
        with pytest.raises(TooManyExplanationsError), turns.turn("first"):
            pass
        with turns.turn("second"):
            pass


def test_who_waits_has_the_turn_that_ends() -> None:
    turns = Turns(patience=LONG)

    with ExitStack() as others:
        with turns.turn("first"):
            has = others.enter_context(waiting(turns, "first"))
            await_waiters(turns, 1)
            assert not has.is_set()
        assert has.wait(60)


def test_one_account_keeps_neither_the_turns_nor_the_threads_of_others() -> None:
    turns = Turns(patience=LONG)

    with ExitStack() as others, turns.turn("greedy"):
        others.enter_context(waiting(turns, "greedy"))
        await_waiters(turns, 1)
        for _ in range(8):
            with pytest.raises(TooManyExplanationsError), turns.turn("greedy"):
                pass
        with turns.turn("other"):
            pass


def test_at_most_two_threads_wait() -> None:
    turns = Turns(patience=LONG)

    with ExitStack() as others, turns.turn("first"), turns.turn("second"):
        for account in ("third", "fourth"):
            others.enter_context(waiting(turns, account))
        await_waiters(turns, 2)
        with pytest.raises(TooManyExplanationsError), turns.turn("fifth"):
            pass
