"""The runner of tests that a stall of the machine can fail, on small suites of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ALWAYS = "def test_it():\n    assert False\n"
ONCE = """
import pytest
from pathlib import Path

def test_first():
    assert True

def test_it():
    seen = Path(__file__).with_suffix(".seen")
    before = seen.exists()
    seen.touch()
    assert before
"""
SKIPPED = ONCE.replace(
    "    assert before", "    if before:\n        pytest.skip('a stall')\n    assert before"
)
NEVER = "def test_it():\n    assert True\n"
UNREADABLE = "import nothing_of_this_name\n"


def run(directory: Path, *options: str, **suites: str) -> tuple[int, str, str]:
    """The exit code, the output and the report of a run of suites by their names."""
    for name, text in suites.items():
        (directory / f"test_{name}.py").write_text(text)
    report = directory / "build" / "looks.txt"
    command = [sys.executable, "-m", "tests.second_look", str(directory), "--report", str(report)]
    ended = subprocess.run(
        [*command, *options, "--", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return ended.returncode, ended.stdout, report.read_text() if report.exists() else ""


def test_what_passes_is_run_once_and_nothing_is_reported(tmp_path: Path) -> None:
    code, output, report = run(tmp_path, never=NEVER)

    assert (code, report) == (0, "")
    assert "1 passed" in output
    assert "a second look;" not in output


def test_a_file_that_failed_passes_at_the_second_look_and_that_is_told(tmp_path: Path) -> None:
    code, output, report = run(tmp_path, once=ONCE, never=NEVER)

    assert code == 0
    assert "1 failed, 2 passed" in output
    assert "assert before" in output
    assert "2 passed" in output.partition("a second look;")[2]
    assert report.startswith("failed, and passed at the second look: ")
    assert report.endswith("test_once.py::test_it\n")


def test_what_is_wrong_fails_twice(tmp_path: Path) -> None:
    code, output, report = run(tmp_path, always=ALWAYS)

    assert (code, report) == (1, "")
    assert "a second look;" in output


def test_a_skip_at_the_second_look_is_no_pass(tmp_path: Path) -> None:
    code, output, report = run(tmp_path, skipped=SKIPPED)

    assert (code, report) == (1, "")
    assert "1 skipped" in output.partition("a second look;")[2]


@pytest.mark.parametrize(
    ("options", "suites"),
    [
        pytest.param((), {"once": ONCE, "always": ALWAYS}, id="more files than are looked at"),
        pytest.param(("--files", "0"), {"once": ONCE}, id="no second look is wanted"),
    ],
)
def test_the_first_look_is_the_last(
    tmp_path: Path, options: tuple[str, ...], suites: dict[str, str]
) -> None:
    code, output, report = run(tmp_path, *options, **suites)

    assert (code, report) == (1, "")
    assert "a second look;" not in output


def test_a_file_that_cannot_be_read_is_no_stall(tmp_path: Path) -> None:
    code, output, report = run(tmp_path, unreadable=UNREADABLE)

    assert (code, report) == (2, "")
    assert "a second look;" not in output
