"""Runs tests of a real machine; a file in which one failed is run once more, by itself, aloud.

Kernels, guests and clusters share their machine with others, who can stall it for seconds at any
time. A fault of k40s fails twice; a stall seldom does. So at most ``--files`` files get a second
look, in a new process with fixtures of their own. What failed at first stays in the output, and
``--report`` keeps it for the last lines of ``make test``. ``--files 0`` looks once only.

Tests that depend on no machine (``tests/unit``, ``tests/property``) are not run by this.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


class Failures:
    """Plugin: the tests that failed or could not begin, by file, those of xdist's workers too."""

    def __init__(self) -> None:
        self.by_file: dict[Path, list[str]] = {}
        self._root = Path()

    def pytest_configure(self, config: pytest.Config) -> None:
        self._root = config.rootpath

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._add(report.nodeid)

    def _add(self, test: str) -> None:
        tests = self.by_file.setdefault(self._root / test.partition("::")[0], [])
        if test not in tests:
            tests.append(test)


def look(paths: Sequence[str], options: Sequence[str], *, files: int, report: Path) -> int:
    """Run pytest, and the files that failed once more where they are at most ``files``.

    Returns pytest's exit code, of the second run where there was one.
    """
    failures = Failures()
    code = int(pytest.main([*options, *paths], plugins=[failures]))
    failed = failures.by_file
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failed) <= files:
        return code
    names = [test for tests in failed.values() for test in tests]
    sys.stdout.write(f"\n==> a second look; failed: {', '.join(names)}\n")
    sys.stdout.flush()
    command = [sys.executable, "-m", "pytest", *options, *map(str, failed)]
    again = subprocess.run(command, check=False).returncode
    if again == pytest.ExitCode.OK:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("a", encoding="utf-8") as lines:
            lines.writelines(f"failed, and passed at the second look: {name}\n" for name in names)
    return again


def main(arguments: Sequence[str]) -> int:
    """``PATH... --report FILE [--files N] [-- OPTION OF PYTEST...]``."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Run tests; what failed, once more")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--report", type=Path, required=True)
    chosen = parser.parse_args(arguments[:cut])
    options = arguments[cut + 1 :]
    return look(chosen.paths, options, files=chosen.files, report=chosen.report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
