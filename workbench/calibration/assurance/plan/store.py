"""The directory of an experiment: its plan, and one directory for each finished phase.

::

    experiment.json
    phases/fifo-16-1-open/{phase.json, samples.csv, watched.csv, jobs.csv}
    unfinished/                    the phase that was running; discarded
    scratch/                       files of stressors; removed
"""

import shutil
from pathlib import Path

from k40s.errors import InvalidInputError
from workbench.calibration.assurance.plan.errors import CalibrationError
from workbench.calibration.assurance.plan.experiment import Experiment, Phase
from workbench.calibration.assurance.plan.experiment_text import (
    Setting,
    differences,
    format_setting,
    read_setting,
)
from workbench.calibration.assurance.plan.recording import (
    Recording,
    format_facts,
    format_jobs,
    format_samples,
    read_recording,
)

_FILE = "experiment.json"
_PHASES = "phases"
_UNFINISHED = "unfinished"
_WATCHED = "watched.csv"


def find_setting(directory: Path) -> Setting | None:
    """The experiment that the directory holds; None without one. ``InvalidInputError``."""
    path = directory / _FILE
    if not path.exists():
        return None
    return read_setting(path.read_text(encoding="utf-8"), source=str(path))


def check_same(found: Setting, wanted: Experiment, *, kernel: str, directory: Path) -> None:
    """Raise ``CalibrationError`` where the directory holds another experiment."""
    other = differences(found.experiment, wanted)
    if not other and found.kernel != kernel:
        other = f"kernel {found.kernel} instead of {kernel}"
    if other:
        raise CalibrationError(
            f"{directory} holds another experiment ({other}): "
            "continue it with its own options, or name another directory"
        )


def begin(directory: Path, setting: Setting) -> None:
    """Write the plan of a new experiment. Raises ``OSError``."""
    path = directory / _FILE
    draft = path.with_suffix(".draft")
    draft.write_text(format_setting(setting), encoding="utf-8")
    draft.rename(path)


def finished(directory: Path, experiment: Experiment) -> tuple[Phase, ...]:
    """The phases that are recorded, in order."""
    return tuple(
        phase for phase in experiment.phases() if (directory / _PHASES / phase.name).is_dir()
    )


def fresh_unfinished(directory: Path) -> Path:
    """An empty directory for the phase that begins. Raises ``OSError``."""
    discard_unfinished(directory)
    path = directory / _UNFINISHED
    path.mkdir(parents=True)
    return path


def discard_unfinished(directory: Path) -> None:
    """Remove what is left of a phase that was not finished. Raises ``OSError``."""
    path = directory / _UNFINISHED
    if path.exists():
        shutil.rmtree(path)


def keep(directory: Path, recording: Recording) -> None:
    """Write a finished phase; it appears at once and whole. Raises ``OSError``."""
    draft = fresh_unfinished(directory)
    (draft / "samples.csv").write_text(format_samples(recording.samples), encoding="ascii")
    if recording.watched is not None:
        (draft / _WATCHED).write_text(format_samples(recording.watched), encoding="ascii")
    (draft / "jobs.csv").write_text(format_jobs(recording), encoding="ascii")
    (draft / "phase.json").write_text(format_facts(recording), encoding="utf-8")
    phases = directory / _PHASES
    phases.mkdir(exist_ok=True)
    draft.rename(phases / recording.phase.name)


def load(directory: Path, phase: Phase) -> Recording:
    """Read a finished phase. Raises ``InvalidInputError``, ``OSError``."""
    path = directory / _PHASES / phase.name

    def read(name: str) -> str:
        return (path / name).read_text(encoding="utf-8", errors="replace")

    return read_recording(
        phase,
        facts=read("phase.json"),
        samples=read("samples.csv"),
        jobs=read("jobs.csv"),
        watched=read(_WATCHED) if (path / _WATCHED).exists() else None,
        source=str(path),
    )


def require_setting(directory: Path) -> Setting:
    """The experiment of a directory that must hold one. Raises ``InvalidInputError``."""
    setting = find_setting(directory)
    if setting is None:
        raise InvalidInputError(
            source="--from",
            path="$",
            found=str(directory),
            expected=f"a directory with a recorded experiment ({_FILE})",
        )
    return setting
