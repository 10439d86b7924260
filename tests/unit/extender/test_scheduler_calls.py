"""A plan waits while kube-scheduler waits for an answer, and never for long."""

import threading

from extender.app import create_app
from extender.scheduler_calls import SchedulerCalls
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.full_nodes import fill, rt_pod
from tests.fakes.extender.world import World, make_args, make_node, make_pod


def test_without_a_call_nobody_waits() -> None:
    assert SchedulerCalls().wait(Nanoseconds(60 * NS_PER_S)) is False


def test_whoever_waits_goes_on_when_the_last_call_ends() -> None:
    calls = SchedulerCalls()
    waited: list[bool] = []

    with calls, calls:
        thread = threading.Thread(
            target=lambda: waited.append(calls.wait(Nanoseconds(600 * NS_PER_S)))
        )
        thread.start()
    thread.join(60)

    assert len(waited) == 1


def test_a_call_that_does_not_end_is_waited_for_no_longer_than_said() -> None:
    calls = SchedulerCalls()

    with calls:
        assert calls.wait(Nanoseconds(NS_PER_MS)) is True


class Entered:
    """Counts how often it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        return


def test_filter_and_prioritize_are_such_calls_and_others_are_not() -> None:
    world, entered = World(), Entered()
    world.add(make_node("a", level=20))
    client = create_app(
        verbs=world.verbs, metrics=world.metrics, ready=lambda: None, calls=entered
    ).test_client()
    body = make_args(make_pod(), ["a"])

    counts = []
    for verb in ("filter", "prioritize", "dry-run", "bind", "preempt", "preemption-plan"):
        client.post(f"/scheduler/{verb}", data=body)
        counts.append(entered.count)

    assert counts == [1, 2, 2, 2, 2, 2]


def test_a_plan_is_made_although_calls_never_end() -> None:
    world = World()
    fill(world, "a", rt_pod("low", "LOW", "60ms"))
    world.filter(rt_pod("high", "HI", "60ms"), ["a"])

    with world.calls:
        answer = world.plan("high")

    assert answer["Outcome"] == "plan"
