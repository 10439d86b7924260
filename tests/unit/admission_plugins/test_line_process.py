"""A process that answers lines, whatever else it does."""

import time
from pathlib import Path

import pytest

from k40s.admission_plugins.line_process import LineProcess, NoLineError

SECONDS = 120.0


def start(script: str) -> LineProcess:
    return LineProcess(["/bin/sh", "-c", script], environment={"PATH": "/usr/bin:/bin"}, longest=99)


def runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_an_answer_to_one_question_is_never_taken_for_that_to_the_next() -> None:
    process = start("read a; printf 'one\\nmore\\n'; read b; echo two")

    assert process.ask(b"a\n", SECONDS) == b"one"
    with pytest.raises(NoLineError, match="not asked"):
        process.ask(b"b\n", SECONDS)
    process.close()


def test_what_has_closed_its_pipes_is_not_waited_for_and_ends() -> None:
    process = start("echo $$; read a; exec >&-; exec sleep 600")
    pid = int(process.ask(b"", SECONDS))

    with pytest.raises(NoLineError, match="status -9"):
        process.ask(b"a\n", SECONDS)
    assert not runs(pid)


def test_what_it_has_started_ends_with_it() -> None:
    process = start("sleep 600 & echo $!; wait")
    pid = int(process.ask(b"", SECONDS))
    assert runs(pid)

    process.close()

    for _ in range(6_000):
        if not runs(pid):
            break
        time.sleep(0.01)
    assert not runs(pid)
