import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.calibration.calibrate import calibrate
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import parse_profile
from tests.fakes.calibration_recordings import experiment_of, phase_of, recording_of, setting_of
from workbench.calibrate_assurance import boxes_of, evaluate, traces_of, write_results
from workbench.calibration.assurance.measurement import preflight
from workbench.calibration.assurance.plan import store
from workbench.calibration.assurance.plan.experiment import Policy, Stress
from workbench.plots.measurements import thinned

AT = datetime(2026, 11, 29, 8, tzinfo=UTC)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    store.begin(tmp_path, setting_of(Policy.OTHER, Policy.FIFO))
    for recording in experiment_of(Policy.OTHER, Policy.FIFO):
        store.keep(tmp_path, recording)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(calibrate, ["assurance", *words])


def test_recorded_data_are_scored_again_without_a_kernel(recorded: Path) -> None:
    result = run("--from", str(recorded), "--name", "edge")

    assert result.exit_code == 0, result.output
    assert "scores for real-time tasks" in result.output
    profile = parse_profile((recorded / "profile.json").read_text(), source="profile.json")
    assert profile.name == "edge"
    assert Metric.SOFTIRQ_RCU in {rule.metric for rule in profile.rules}
    assert (recorded / "effects.csv").read_text().count("\n") == 23
    assert (recorded / "scores.csv").is_file()


def test_json_and_csv_are_printed_alone(recorded: Path) -> None:
    as_json = run("--from", str(recorded), "--json")
    as_csv = run("--from", str(recorded), "--csv")

    assert json.loads(as_json.stdout)["kind"] == "assurance-calibration"
    assert as_csv.stdout == (recorded / "effects.csv").read_text()


def test_both_figures_are_drawn_and_the_same_data_give_the_same_bytes(recorded: Path) -> None:
    pytest.importorskip("matplotlib")

    assert run("--from", str(recorded), "--plot", "svg").exit_code == 0
    first = {name: (recorded / name).read_bytes() for name in ("effects.svg", "traces.svg")}
    assert run("--from", str(recorded), "--plot", "svg").exit_code == 0

    assert all((recorded / name).read_bytes() == content for name, content in first.items())
    assert all(b"open" in content for content in first.values())
    assert b"activation latency" in first["effects.svg"]


def test_boxes_are_of_each_stress_by_policy_and_slack_is_clamped(recorded: Path) -> None:
    picture = boxes_of(evaluate(recorded, name=None, at=AT))

    assert [panel.title for panel in picture.upper] == ["other", "fifo"]
    labels = [box.label for box in picture.upper[1].boxes]
    assert labels == ["none", *(stress.value for stress in Stress)]
    by_label = {box.label: box for box in picture.upper[1].boxes}
    assert by_label["open"].median == pytest.approx(600, rel=0.05)
    assert by_label["none"].p1 <= by_label["none"].p25 <= by_label["none"].median
    assert all(box.p1 >= -10 for panel in picture.lower for box in panel.boxes)


def test_traces_shade_each_stress_where_the_metric_rises(recorded: Path) -> None:
    picture = traces_of(evaluate(recorded, name=None, at=AT))

    assert [shade.label for shade in picture.shades] == [stress.value for stress in Stress]
    assert [trace.label for trace in picture.traces][:2] == [
        "activation latency [µs]",
        "softirq-rcu",
    ]
    rcu = picture.traces[1]
    assert rcu.level is not None
    opened = next(shade for shade in picture.shades if shade.label == "open")
    inside = [
        value
        for at, value in zip(rcu.times, rcu.values, strict=True)
        if opened.start + 0.5 < at < opened.end - 0.5
    ]
    assert min(inside) > rcu.level


def test_a_profile_that_no_longer_stands_is_removed(tmp_path: Path) -> None:
    store.begin(tmp_path, setting_of())
    store.keep(tmp_path, recording_of(phase_of()))
    (tmp_path / "profile.json").write_text("{}")

    result = evaluate(tmp_path, name=None, at=AT)
    write_results(result, tmp_path, pictures=None)

    assert result.profile is None
    assert not (tmp_path / "profile.json").exists()


def test_thinning_keeps_the_peaks() -> None:
    times, values = thinned([float(n) for n in range(10)], [0.0] * 7 + [5.0] + [0.0] * 2, 3)

    assert len(times) <= 3
    assert max(values) == 5.0
    assert times[values.index(5.0)] == 7.0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "give --out DIRECTORY to measure, or --from DIRECTORY to score"),
        (("--out", "a", "--from", "."), "give --out DIRECTORY to measure, or --from"),
        (("--from", ".", "--quick"), "--quick is for a measurement: --from measures nothing"),
        (("--from", ".", "--ns-per-loop", "21"), "--ns-per-loop is for a measurement"),
        (("--from", ".", "--json", "--csv"), "--json and --csv exclude each other"),
        (("--from", ".", "--name", "A B"), "--name: found 'A B', expected a name of lower-case"),
        (("--from", "."), "expected a directory with a recorded experiment (experiment.json)"),
        (("--out", "a", "--cpus", "9999"), "--cpus: found '9999', expected a CPU list"),
        (("--out", "a", "--cpus", "x"), "--cpus: found 'x', expected a CPU list"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(
    words: tuple[str, ...], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run(*words)

    assert result.exit_code == 2
    assert error in result.stderr
    assert result.stderr.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


def test_without_root_or_programs_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    not_root = run("--out", str(out))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight.shutil, "which", lambda _name: None)
    no_programs = run("--out", str(out))

    assert not_root.exit_code == no_programs.exit_code == 2
    assert "needs Linux and root" in not_root.stderr
    assert "rt-app and stress-ng not found: apt-get install rt-app stress-ng" in no_programs.stderr
    assert not out.exists()


def test_another_experiment_in_the_directory_is_refused(recorded: Path) -> None:
    result = run("--out", str(recorded), "--quick", "--stressors", "3")

    assert result.exit_code == 2
    assert "holds another experiment" in result.stderr
    assert "stressors 16 instead of 3" in result.stderr


def test_signals_are_as_before_after_a_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    run("--out", str(tmp_path / "out"))

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
