"""A pause after each failure; the first of several is logged."""

import logging

import pytest

from k40s.errors import UnavailableError
from k40s.node_agent.backoff import Backoff
from k40s.units import Nanoseconds


class Clock:
    time = 0

    def __call__(self) -> int:
        return self.time


def test_it_is_active_for_the_pause_after_a_failure() -> None:
    clock = Clock()
    backoff = Backoff(pause=Nanoseconds(10), clock=clock)
    seen = [backoff.active]
    backoff.failed("away", UnavailableError("no"))

    for time in (0, 9, 10):
        clock.time = time
        seen.append(backoff.active)

    assert seen == [False, True, True, False]


def test_failures_are_logged_once_until_the_server_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backoff = Backoff(pause=Nanoseconds(0), clock=Clock())
    with caplog.at_level(logging.WARNING):
        for text in ("away", "away", "full", ""):
            if text:
                backoff.failed(text, UnavailableError("no"))
            else:
                backoff.succeeded()
        backoff.failed("full", UnavailableError("no"))

    assert [record.message for record in caplog.records] == ["away", "full", "full"]
