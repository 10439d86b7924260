import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.errors import ComponentFailedError, LocalClusterError
from localcluster.host.processes import Supervisor, parse_record, parse_stat, read_tail


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(records=tmp_path / "records", logs=tmp_path / "logs")
    yield made
    for state in made.states():
        made.stop(state.name, grace=0)


def test_a_process_is_started_once_and_ended(supervisor: Supervisor) -> None:
    pid = supervisor.start("sleeper", ["sleep", "60"])

    again = supervisor.start("sleeper", ["sleep", "60"])
    running = supervisor.pid("sleeper")
    supervisor.stop("sleeper")

    assert again == running == pid
    assert supervisor.pid("sleeper") is None
    assert supervisor.states() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_another_supervisor_of_the_same_directory_knows_the_process(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    pid = supervisor.start("sleeper", ["sleep", "60"])

    other = Supervisor(records=tmp_path / "records", logs=tmp_path / "logs")

    assert other.pid("sleeper") == pid


@pytest.mark.parametrize("field", ["started", "boot"])
def test_a_pid_that_was_given_to_somebody_else_is_left_alone(
    field: str, supervisor: Supervisor, tmp_path: Path
) -> None:
    pid = supervisor.start("mine", ["sleep", "60"])
    record = tmp_path / "records" / "mine.json"
    raw = json.loads(record.read_text())
    (tmp_path / "records" / "stranger.json").write_text(json.dumps({**raw, field: 1}))

    seen = supervisor.pid("stranger")
    supervisor.stop("stranger")

    assert seen is None
    assert supervisor.pid("mine") == pid


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_torn_record_is_no_process(text: str) -> None:
    assert parse_record(text) is None


def test_stopping_what_never_ran_does_nothing(supervisor: Supervisor) -> None:
    supervisor.stop("nobody")

    assert supervisor.states() == []


def test_a_process_that_ignores_the_request_is_ended_by_force(supervisor: Supervisor) -> None:
    ignore = "trap '' TERM; touch ready; while :; do sleep 1; done"
    directory = supervisor.log("stubborn").parent
    directory.mkdir()
    supervisor.start("stubborn", ["sh", "-c", f"cd {directory}; {ignore}"])
    supervisor.wait_ready("stubborn", (directory / "ready").exists, timeout=120)

    supervisor.stop("stubborn", grace=0.05)

    assert supervisor.pid("stubborn") is None


def test_a_process_that_ends_before_it_is_ready_is_named_with_its_log(
    supervisor: Supervisor,
) -> None:
    supervisor.start("broken", ["sh", "-c", "echo it hurts here; exit 3"])

    with pytest.raises(ComponentFailedError, match=r"broken ended.*\n.*it hurts here") as failure:
        supervisor.wait_ready("broken", lambda: False, timeout=120)

    assert failure.value.component == "broken"


def test_a_process_that_is_never_ready_is_named_too(supervisor: Supervisor) -> None:
    supervisor.start("slow", ["sleep", "60"])

    with pytest.raises(ComponentFailedError, match="slow is not ready after 0 s"):
        supervisor.wait_ready("slow", lambda: False, timeout=0)


def test_waiting_for_an_end_that_does_not_come_is_bounded(supervisor: Supervisor) -> None:
    supervisor.start("sleeper", ["sleep", "60"])

    with pytest.raises(LocalClusterError, match="sleeper still runs"):
        supervisor.wait_gone("sleeper", timeout=0)


def test_an_end_that_comes_is_seen(supervisor: Supervisor) -> None:
    supervisor.start("brief", ["true"])

    supervisor.wait_gone("brief", timeout=120)

    assert [state.running for state in supervisor.states()] == [False]


def test_a_program_that_is_missing_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(LocalClusterError, match="ghost cannot be started"):
        supervisor.start("ghost", ["/no/such/program"])


def test_a_new_process_is_handed_to_whoever_adopts_it(supervisor: Supervisor) -> None:
    adopted: list[int] = []

    pid = supervisor.start("sleeper", ["sleep", "60"], adopt=adopted.append)

    assert adopted == [pid]


def test_the_former_log_is_kept_beside_the_new_one(supervisor: Supervisor) -> None:
    for text in ("first", "second"):
        supervisor.start("speaker", ["echo", text])
        supervisor.wait_gone("speaker", timeout=120)

    assert read_tail(supervisor.log("speaker")) == "second"
    assert read_tail(supervisor.log("speaker").with_suffix(".log.1")) == "first"


def test_only_the_last_lines_of_a_log_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))

    assert read_tail(log, lines=2) == "line 9998\nline 9999"
    assert read_tail(tmp_path / "none.log") == ""


def test_a_command_with_blanks_and_brackets_in_its_name_does_not_confuse() -> None:
    fields = " ".join(str(number) for number in range(4, 30))

    assert parse_stat(f"12 (a) b) S {fields}") == ("S", 22)
