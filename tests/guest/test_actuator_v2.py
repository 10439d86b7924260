"""What the actuator does to a pod on Debian's kernel, where cgroup v2 is all there is."""

from typing import Any

LIMIT = "80000 100000"
FREE = [LIMIT, "0", "0-1"]


def fact(facts: dict[str, object], name: str) -> list[Any]:
    value = facts[f"act-{name}"]
    assert isinstance(value, list)
    return value


def test_it_has_no_capability(facts: dict[str, object]) -> None:
    assert facts["act-capabilities"] == "0" * 16


def test_a_throttled_hog_gets_a_tenth_of_a_cpu_and_its_own_limit_back(
    facts: dict[str, object],
) -> None:
    assert fact(facts, "before") == FREE
    result, quota, throttled = fact(facts, "throttle")
    restored, free = fact(facts, "unthrottled")

    print(f"{throttled} of a CPU under the quota, {free} afterwards")  # noqa: T201  # figures
    assert (result, quota) == ("done", "10000 100000")
    assert throttled <= 0.13
    assert restored
    assert free > throttled


def test_a_moved_hog_leaves_the_cpu_and_may_return(facts: dict[str, object]) -> None:
    assert fact(facts, "move") == ["done", "0", "0"]
    assert fact(facts, "moved-back") == [True, "0-1"]


def test_a_frozen_hog_does_not_run_and_runs_on_when_thawed(facts: dict[str, object]) -> None:
    assert fact(facts, "freeze") == ["done", True, 0.0]
    assert fact(facts, "thawed") == [True, True, True]


def test_all_is_undone_by_the_next_process_after_kill_9(facts: dict[str, object]) -> None:
    results, held, undone, left = fact(facts, "crash")

    assert results == ["done"] * 3
    assert held == ["10000 100000", "1", "0"]
    assert (undone, left) == (True, 0)


def test_killed_at_any_write_nothing_stays_held(facts: dict[str, object]) -> None:
    points, bad, ended = fact(facts, "points")

    print(f"killed at {points} writes")  # noqa: T201  # as above
    assert points == 12  # before and after each of three writes and of their undoing
    assert bad == []
    assert ended == [0, 0]  # no write was left


def test_a_pod_is_killed_as_a_whole_once_it_is_held_also_when_it_is_frozen(
    facts: dict[str, object],
) -> None:
    assert fact(facts, "kill") == ["not-held", "done", 9, True, ["quota", "freeze"]]
