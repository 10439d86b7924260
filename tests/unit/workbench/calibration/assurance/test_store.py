from dataclasses import replace
from pathlib import Path

import pytest

from k40s.errors import InvalidInputError
from tests.fakes.calibration_recordings import experiment_of, recording_of, setting_of
from workbench.calibration.assurance.plan import store
from workbench.calibration.assurance.plan.errors import CalibrationError
from workbench.calibration.assurance.plan.experiment import Policy

SETTING = setting_of()
PLAN = SETTING.experiment


def test_finished_phases_are_found_in_order_and_read_back(tmp_path: Path) -> None:
    store.begin(tmp_path, SETTING)
    for recording in reversed(experiment_of(Policy.FIFO)[:3]):
        store.keep(tmp_path, recording)

    finished = store.finished(tmp_path, PLAN)

    assert finished == tuple(PLAN.phases())[:3]
    assert store.load(tmp_path, finished[1]).phase == finished[1]
    assert store.find_setting(tmp_path) == SETTING


def test_a_phase_of_an_earlier_version_lacks_the_samples_at_malacodas_period(
    tmp_path: Path,
) -> None:
    phase = next(PLAN.phases())
    store.keep(tmp_path, recording_of(phase))
    assert store.load(tmp_path, phase).watched is not None

    (tmp_path / "phases" / phase.name / "watched.csv").unlink()

    assert store.load(tmp_path, phase).watched is None


def test_a_phase_that_was_not_finished_is_discarded(tmp_path: Path) -> None:
    store.begin(tmp_path, SETTING)
    (store.fresh_unfinished(tmp_path) / "rt-app.json").write_text("{}")

    assert store.finished(tmp_path, PLAN) == ()
    assert [*store.fresh_unfinished(tmp_path).iterdir()] == []


def test_a_kept_phase_leaves_nothing_of_its_draft(tmp_path: Path) -> None:
    phase = next(PLAN.phases())
    (store.fresh_unfinished(tmp_path) / "rt-app.txt").write_text("said")

    store.keep(tmp_path, recording_of(phase))

    assert not (tmp_path / "unfinished").exists()
    kept = {path.name for path in (tmp_path / "phases" / phase.name).iterdir()}
    assert kept == {"phase.json", "samples.csv", "watched.csv", "jobs.csv"}


@pytest.mark.parametrize(
    ("stressors", "kernel", "error"),
    [
        ((8,), "6.18.44", "holds another experiment (stressors 16 instead of 8)"),
        ((16,), "6.1", "holds another experiment (kernel 6.18.44 instead of 6.1)"),
    ],
)
def test_another_experiment_is_not_continued(
    stressors: tuple[int, ...], kernel: str, error: str
) -> None:
    wanted = replace(PLAN, stressors=stressors)

    with pytest.raises(CalibrationError) as caught:
        store.check_same(SETTING, wanted, kernel=kernel, directory=Path("d"))

    assert error in str(caught.value)


def test_the_same_experiment_is_continued() -> None:
    store.check_same(SETTING, PLAN, kernel="6.18.44", directory=Path("d"))


def test_a_directory_without_an_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="expected a directory with a recorded experiment"):
        store.require_setting(tmp_path)
