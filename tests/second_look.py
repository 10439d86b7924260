"""Runs tests of a real machine; a file in which one failed is run once more, by itself, aloud.

Kernels, guests and clusters share their machine with others, who can stall it for seconds at any
time. A fault of k40s fails twice; a stall seldom does. So where no more than ``--files`` files have
a failed test, these get a second look, in a new process with fixtures of their own; with more, or
with ``--files 0``, the first look is the last. What failed at first stays in the output, and
``--report`` keeps it for the last lines of a ``make test`` that passes.

Tests that depend on no machine (``tests/unit``, ``tests/property``) are not run by this.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


class Outcomes:
    """Plugin: the tests that failed or could not begin, by file, and those that passed.

    Those of xdist's workers are reported to it as well.
    """

    def __init__(self) -> None:
        self.failed: dict[Path, list[str]] = {}
        self.passed: set[str] = set()
        self._root = Path()

    def pytest_configure(self, config: pytest.Config) -> None:
        self._root = config.rootpath

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._add(report.nodeid)
        elif report.passed and report.when == "call":
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._add(report.nodeid)

    def _add(self, test: str) -> None:
        tests = self.failed.setdefault(self._root / test.partition("::")[0], [])
        if test not in tests:
            tests.append(test)


def look(
    paths: Sequence[str],
    options: Sequence[str],
    *,
    files: int,
    report: Path,
    wanted: Sequence[str] = (),
) -> int:
    """Run pytest, and the files that failed once more where they are at most ``files``.

    Returns pytest's exit code, of the second run where there was one. It is a failure where one of
    the ``wanted`` tests has not passed: a skip is no answer.
    """
    outcomes = Outcomes()
    code = int(pytest.main([*options, *paths], plugins=[outcomes]))
    if code == pytest.ExitCode.OK and not outcomes.passed.issuperset(wanted):
        return int(pytest.ExitCode.TESTS_FAILED)
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(outcomes.failed) <= files:
        return code
    names = [test for tests in outcomes.failed.values() for test in tests]
    sys.stdout.write(f"\n==> a second look; failed: {', '.join(names)}\n")
    sys.stdout.flush()
    own = ("--files", "0", "--report", str(report), *(w for n in names for w in ("--wanted", n)))
    command = [sys.executable, "-m", "tests.second_look", *map(str, outcomes.failed), *own]
    again = subprocess.run([*command, "--", *options], check=False).returncode
    if again == pytest.ExitCode.OK:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("a", encoding="utf-8") as lines:
            lines.writelines(f"failed, and passed at the second look: {name}\n" for name in names)
    return again


def main(arguments: Sequence[str]) -> int:
    """``PATH... --report FILE [--files N] [--wanted TEST...] [-- OPTION OF PYTEST...]``."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Run tests; what failed, once more")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--wanted", action="append", default=[])
    chosen = parser.parse_args(arguments[:cut])
    options = arguments[cut + 1 :]
    return look(
        chosen.paths, options, files=chosen.files, report=chosen.report, wanted=chosen.wanted
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
