"""stress-ng's command for a class of stress: text only."""

from pathlib import Path

from workbench.calibration.assurance.plan.experiment import Stress

_OPTIONS = {"hdd": ("--hdd-bytes", "64m")}
"""The default, 1 GiB for each stressor, does not fit on a node's disk sixteen times."""


def command(program: str, stress: Stress, count: int, *, seconds: int, scratch: Path) -> list[str]:
    """``count`` stressors of each kind, which end by themselves after ``seconds``."""
    words = [program, "--quiet", "--timeout", str(seconds), "--temp-path", str(scratch)]
    for kind in stress.kinds:
        words += [f"--{kind}", str(count), *_OPTIONS.get(kind, ())]
    return words
