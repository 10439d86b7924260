import json

import numpy as np
import pytest

from k40s.assurance.metrics import Metric
from k40s.errors import InvalidInputError
from tests.fakes.calibration_recordings import phase_of, recording_of
from workbench.calibration.assurance.plan.recording import (
    Recording,
    format_facts,
    format_jobs,
    format_samples,
    read_recording,
)

PHASE = phase_of()
RECORDING = recording_of(PHASE, late=600.0, slow=9000.0, pressures=(1_200, 12_000))
TEXTS = {
    "facts": format_facts(RECORDING),
    "samples": format_samples(RECORDING.samples),
    "jobs": format_jobs(RECORDING),
    "watched": format_samples(RECORDING.watched or RECORDING.samples),
}


def read(**texts: str) -> Recording:
    given = {**TEXTS, **texts}
    return read_recording(PHASE, **given, source="d")


def test_a_recording_is_read_as_it_was_written() -> None:
    found = read()

    assert (found.stressed, found.ended) == (RECORDING.stressed, RECORDING.ended)
    assert np.array_equal(found.samples.times, RECORDING.samples.times)
    assert found.samples.metrics.keys() == RECORDING.samples.metrics.keys()
    for metric, column in RECORDING.samples.metrics.items():
        assert found.samples.metrics[metric] == pytest.approx(column, rel=1e-9)
    assert found.jobs.latency == pytest.approx(RECORDING.jobs.latency, rel=1e-9)
    assert found.jobs.slack == pytest.approx(RECORDING.jobs.slack, rel=1e-9)
    assert np.array_equal(found.jobs.at, RECORDING.jobs.at)
    assert found.watched is not None
    assert RECORDING.watched is not None
    assert np.array_equal(found.watched.times, RECORDING.watched.times)
    assert found.watched.metrics.keys() == RECORDING.watched.metrics.keys()
    assert found.watched.waited == pytest.approx(RECORDING.watched.waited, rel=1e-9)


def test_an_unknown_value_stays_unknown() -> None:
    assert np.isnan(read(samples="at_ns,load\n1,nan\n2,3\n").samples.metrics[Metric.LOAD][0])


def test_a_metric_that_this_version_does_not_know_is_left_out() -> None:
    assert [*read(samples="at_ns,load,heat\n1,2,3\n").samples.metrics] == [Metric.LOAD]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("samples", "", "d/samples.csv: found 'no rows"),
        ("samples", "at_ns,load\n", "d/samples.csv: found 'no rows"),
        ("samples", "load\n1\n", "expected at_ns and a metric"),
        ("samples", "at_ns,load\n1,x\n", "expected rows of numbers"),
        ("samples", "at_ns,load\n1,2\n3\n", "expected rows of numbers"),
        ("samples", "at_ns,load\n1,2,3\n", "found '3 columns', expected 2, as in the heading"),
        ("watched", "load\n1\n", "d/watched.csv: found 'no such columns', expected at_ns and"),
        ("jobs", "at_ns,latency_us\n1,2\n", "d/jobs.csv: found 'at_ns,latency_us'"),
        ("facts", "{}", "d/phase.json at $.v: found 'nothing', expected this field"),
    ],
)
def test_a_file_that_is_wrong_is_named(name: str, text: str, error: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(**{name: text})

    assert error.replace("'nothing'", "nothing") in str(caught.value)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "x"}, 'expected "assurance-phase"'),
        ({"phase": "x"}, 'expected "fifo-16-1-open", as its directory is called'),
        ({"ended_ns": 1}, "at $.ended_ns"),
        ({"steal": -1}, "at $.steal: found -1, expected a number from 0"),
        ({"load": "1"}, "at $.load: found '1', expected a number from 0"),
    ],
)
def test_facts_that_are_wrong_name_their_path(change: dict[str, object], error: str) -> None:
    facts = json.dumps(json.loads(TEXTS["facts"]) | change)

    with pytest.raises(InvalidInputError) as caught:
        read(facts=facts)

    assert error in str(caught.value)
