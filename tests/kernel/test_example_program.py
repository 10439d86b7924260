"""The shipped example: it waits until the kernel holds it, and says so when it no longer does."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import LEAST, LinuxAttributes, SchedAttr

PROGRAM = Path(__file__).parents[2] / "manifests" / "examples" / "periodic.py"
PATIENCE = 180
RESET = os.SCHED_RESET_ON_FORK


class Example:
    """The program with a short job, and what it has printed."""

    def __init__(self) -> None:
        words = [sys.executable, str(PROGRAM), "frames", "20", "1"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def says(self) -> str:
        return self._lines.get(timeout=PATIENCE)

    def hold(self, policy: str) -> None:
        """What rubicante does; a short budget would throttle, so DEADLINE gets half a core."""
        pid = self.process.pid
        if policy == "SCHED_DEADLINE":
            LinuxAttributes().set(pid, HALF)
        elif policy == "SCHED_OTHER":
            LinuxAttributes().make_ordinary(pid)
        else:
            number = {"SCHED_FIFO": os.SCHED_FIFO, "SCHED_RR": os.SCHED_RR}[policy]
            os.sched_setscheduler(pid, number | RESET, os.sched_param(1))


HALF = SchedAttr(
    policy=LEAST.policy,
    flags=LEAST.flags,
    runtime=10_000_000,
    deadline=20_000_000,
    period=20_000_000,
)


@pytest.fixture
def start() -> Iterator[Callable[[], Example]]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with ExitStack() as undo:

        def begin() -> Example:
            made = Example()
            undo.callback(made.end)
            return made

        yield begin


def test_it_bears_the_tasks_name_and_does_no_job_before_it_is_enforced(
    start: Callable[[], Example],
) -> None:
    example = start()
    assert example.says() == "waiting to be enforced: SCHED_OTHER"

    comm = Path(f"/proc/{example.process.pid}/comm").read_text().strip()
    assert comm == "frames"
    example.hold("SCHED_FIFO")
    assert example.says() == "enforced: SCHED_FIFO"


def test_it_names_the_policy_that_holds_it_and_says_when_it_is_lost(
    start: Callable[[], Example],
) -> None:
    examples = {policy: start() for policy in ("SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE")}
    for policy, example in examples.items():
        example.says()
        example.hold(policy)
        assert example.says() == f"enforced: {policy}"

    for policy, example in examples.items():
        check_loss(example, policy)


def check_loss(example: Example, policy: str) -> None:
    """It has reported its jobs, loses its policy, and has it back."""
    jobs = example.says()
    example.hold("SCHED_OTHER")
    after = [example.says(), example.says()]
    while not after[-2].startswith("no longer"):  # it may have reported once more
        after.append(example.says())

    assert jobs.endswith(policy)
    assert int(jobs.split()[0]) > 0
    assert after[-2:] == [
        "no longer enforced: SCHED_OTHER",
        "waiting to be enforced: SCHED_OTHER",
    ]
    example.hold(policy)
    assert example.says() == f"enforced: {policy}"
