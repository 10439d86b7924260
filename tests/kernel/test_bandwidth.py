"""Real-time limits of the real kernel that are switched off."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.system import LinuxSystem
from tests.kernel.conftest import CPU

PROC = Path("/proc")
LIMITS = (PROC / "sys/kernel/sched_rt_runtime_us", CPU / "cpu.rt_runtime_us")


@pytest.fixture
def limits() -> Iterator[tuple[Path, ...]]:
    """Limits that may be changed, and are as they were afterwards: the group's before the other."""
    former = [path.read_text() for path in LIMITS]
    yield LIMITS
    for path, text in reversed([*zip(LIMITS, former, strict=True)]):
        path.write_text(text)
    assert [path.read_text() for path in LIMITS] == former


def test_limits_of_minus_one_are_the_whole_cpu(limits: tuple[Path, ...]) -> None:
    bandwidth = RtBandwidth(
        system=LinuxSystem(), cpu_root=CPU, proc=PROC, is_own_group=lambda _name: True
    )
    before, _ = bandwidth.read()
    for path in limits:
        path.write_text("-1")

    found, problem = bandwidth.read()

    assert (found.limit, problem) == (Fraction(1), "")
    assert len(found.unlimited) == 2
    assert before.limit < 1
