import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workbench.calibration.assurance.measurement.processes import Caretaker, Program
from workbench.calibration.assurance.measurement.task_groups import (
    find_hierarchy,
    find_own_group,
    read_waited,
)
from workbench.calibration.assurance.plan.errors import CalibrationError, StoppedError

GO = threading.Event()


def test_a_program_that_fails_says_its_last_line(tmp_path: Path) -> None:
    program = Program(["sh", "-c", "echo one; echo two >&2; exit 3"], output=tmp_path / "said")

    assert program.wait(seconds=120, stop=GO) == 3
    assert str(program.failure()) == "sh ended with status 3: two"


def test_a_program_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no-such-program cannot be started"):
        Program(["/no-such-program"], output=tmp_path / "said")


def test_waiting_ends_when_the_user_stops(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    program = Program(["sleep", "60"], output=tmp_path / "said")

    with pytest.raises(StoppedError):
        program.wait(seconds=60, stop=stop)

    program.end(grace=10)
    assert program.status == -signal.SIGTERM


def test_ending_a_program_ends_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"trap '' TERM; sleep 60 & echo $! > {child}.draft; mv {child}.draft {child}; wait"
    program = Program(["sh", "-c", script], output=tmp_path / "said")
    while not child.exists():
        assert program.wait(seconds=0.05, stop=GO) is None

    program.end(grace=0.2)

    assert program.status == -signal.SIGKILL
    assert is_gone(int(child.read_text()))


def test_a_program_runs_on_the_cpus_that_are_given(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    program = Program([sys.executable, "-S", "-c", code], output=tmp_path / "said", cpus=(cpu,))

    assert program.wait(seconds=60, stop=GO) == 0
    assert program.output().strip() == f"[{cpu}]"


def test_the_caretaker_removes_the_directory_when_it_is_closed(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "deep").mkdir(parents=True)

    Caretaker(groups=(), directory=tmp_path / "scratch").close()

    assert not (tmp_path / "scratch").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from workbench.calibration.assurance.measurement.processes import Caretaker, Program
root = Path(sys.argv[1])
(root / "group").mkdir()
Caretaker(groups=[root / "group"], directory=root / "scratch")
program = Program(["sleep", "60"], output=root / "said")
(root / "scratch").mkdir()
print(program._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_kill_nine_programs_end_and_directory_and_group_are_removed(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert is_gone(int(done.stdout))
    for _ in range(1_200):
        if not any((tmp_path / name).exists() for name in ("scratch", "group")):
            return
        GO.wait(0.1)
    raise AssertionError("they are still there")


def is_gone(pid: int, tries: int = 2_400) -> bool:
    """Whether a process ends, or is a zombie that nobody has waited for yet."""
    for _ in range(tries):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in ("Z", "X"):
            return True
        GO.wait(0.05)
    return False


PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=4711\n"


@pytest.mark.parametrize(
    ("tree", "others", "own"),
    [
        ("unified", ["cpuacct/tasks"], "4:cpu:/\n0::/a.slice/b\n"),
        (".", ["cgroup.controllers"], "0::/a.slice/b\n"),
    ],
)
def test_the_group_of_v2_is_the_callers_own_beside_v1_or_alone(
    tmp_path: Path, tree: str, others: list[str], own: str
) -> None:
    assert find_own_group(tmp_path, own=own) is None
    group = tmp_path / tree / "a.slice" / "b"
    group.mkdir(parents=True)
    for name in (*others, f"{tree}/cgroup.controllers"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_own_group(tmp_path, own=own) is None, "no PSI"
    (group / "cpu.pressure").write_text(PRESSURE)

    assert find_own_group(tmp_path, own=own) == group
    assert find_own_group(tmp_path, own="4:cpu:/\n") is None


def test_what_a_group_has_waited_is_its_total(tmp_path: Path) -> None:
    assert read_waited(tmp_path) is None
    (tmp_path / "cpu.pressure").write_text(PRESSURE)
    assert read_waited(tmp_path) == 4711
    (tmp_path / "cpu.pressure").write_text("")
    assert read_waited(tmp_path) is None


def test_the_caretaker_removes_groups_as_well(tmp_path: Path) -> None:
    groups = [tmp_path / "budget", tmp_path / "pressure"]
    for group in groups:
        group.mkdir()

    Caretaker(groups=(*groups, tmp_path / "none"), directory=tmp_path / "scratch").close()

    assert not any(group.exists() for group in groups)


def test_the_hierarchy_with_budgets_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    assert find_hierarchy(tmp_path) is None

    path = tmp_path / "cpu,cpuacct"
    path.mkdir()
    assert find_hierarchy(tmp_path) is None
    (path / "cpu.rt_runtime_us").write_text("950000\n")
    assert find_hierarchy(tmp_path) == path
