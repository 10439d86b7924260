import json

import pytest

from workbench.calibration.assurance.plan.experiment import Policy
from workbench.calibration.assurance.plan.rt_app import (
    RtAppError,
    configuration,
    log_name,
    parse_calibration,
    parse_log,
)

HEAD = (
    "# Policy : SCHED_FIFO priority : 98\n"
    "#idx     perf      run   period           start             end          rel_st"
    "      slack c_duration   c_period     wu_lat\n"
)


def row(end: int, slack: int, latency: int) -> str:
    """A line as rt-app 1.0 prints it."""
    return (
        f"   0    95000     1875     9941       745296955 {end:15d}            7565 {slack:10d}"
        f"       1900      10000 {latency:10d}\n"
    )


def test_a_log_gives_activations_at_the_rows_ends_in_nanoseconds() -> None:
    jobs = parse_log(HEAD + row(745306891, 7997, 59) + row(745316891, 8034, 54))

    assert jobs.at.tolist() == [745_306_891_000, 745_316_891_000]
    assert jobs.latency.tolist() == [59, 54]
    assert jobs.slack.tolist() == [7997, 8034]


def test_a_latency_of_zero_in_an_overrun_is_the_time_by_which_the_deadline_was_missed() -> None:
    jobs = parse_log(HEAD + row(10, 8000, 0) + row(20, -22_000, 0) + row(30, -5, 0))

    assert jobs.latency.tolist() == [0, 22_000, 5]
    assert jobs.slack.tolist() == [8000, -22_000, -5]


@pytest.mark.parametrize("text", ["", HEAD, HEAD + "\n\n", HEAD + row(10, 8000, 50)[:-20]])
def test_a_log_without_jobs_is_refused(text: str) -> None:
    with pytest.raises(RtAppError, match="has no jobs"):
        parse_log(text)


@pytest.mark.parametrize("cut", [1, 4, 12, 40])
def test_the_line_that_is_cut_off_is_left_out(cut: int) -> None:
    text = HEAD + row(10, 8000, 50) + row(20, 7000, 1234)

    assert parse_log(text[:-cut]).latency.tolist() == [50]


@pytest.mark.parametrize("broken", ["0 1 2\n", row(10, 8000, 50).replace("8000", "8e3"), "x\n"])
def test_a_broken_line_inside_a_log_is_an_error(broken: str) -> None:
    with pytest.raises(RtAppError, match="row 2 of the log reads"):
        parse_log(HEAD + row(10, 8000, 50) + broken + row(20, 8000, 50))


def thread(policy: Policy) -> dict[str, object]:
    text = configuration(
        policy, core=1, seconds=17, nanoseconds_per_loop=21, logs="/logs", basename="rt"
    )
    (found,) = json.loads(text)["tasks"].values()
    assert isinstance(found, dict)
    return found


def test_each_policy_has_its_parameters_and_a_deadline_thread_is_not_pinned() -> None:
    assert thread(Policy.OTHER)["policy"] == "SCHED_OTHER"
    assert "priority" not in thread(Policy.OTHER)
    assert thread(Policy.FIFO)["priority"] == 98
    assert thread(Policy.RT_CGROUP) == thread(Policy.FIFO)
    assert thread(Policy.FIFO)["cpus"] == [1]
    assert "cpus" not in thread(Policy.DEADLINE)
    assert thread(Policy.DEADLINE)["dl-runtime"] == 5000
    assert thread(Policy.DEADLINE)["dl-deadline"] == 10_000


def test_the_task_is_the_papers() -> None:
    assert thread(Policy.FIFO)["run"] == 1900
    assert thread(Policy.FIFO)["timer"] == {"ref": "unique", "period": 10_000, "mode": "absolute"}


def test_the_log_has_room_for_all_jobs_and_is_never_left_to_rt_app() -> None:
    text = configuration(
        Policy.FIFO, core=3, seconds=3600, nanoseconds_per_loop=None, logs="/l", basename="b"
    )
    shared = json.loads(text)["global"]

    assert isinstance(shared["log_size"], int)
    assert shared["log_size"] * 1024 * 1024 > 3600 * 100 * 120
    assert shared["calibration"] == "CPU3"
    assert log_name("b") == "b-task-0.log"


def test_the_calibration_is_read_from_rt_apps_words() -> None:
    assert parse_calibration("[rt-app] <notice> pLoad = 21ns : calib_cpu 1\n") == 21
    for text in ("", "pLoad = 0ns", "pLoad = xns"):
        with pytest.raises(RtAppError, match="pLoad"):
            parse_calibration(text)
