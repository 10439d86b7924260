"""What one phase recorded: samples of the node's metrics, and the task's jobs. Text, without I/O.

Samples and jobs are CSV with a heading, times in ns since the phase began; the facts are JSON.
Recordings of earlier versions lack the samples at malacoda's own period.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

import numpy as np

from k40s.assurance.metrics import Metric
from k40s.errors import InvalidInputError
from k40s.strict_json import Json, read_json
from workbench.calibration.assurance.plan.experiment import Phase
from workbench.calibration.assurance.plan.rt_app import Array, Jobs

_VERSION = 1
_JOBS = ("at_ns", "latency_us", "slack_us")
_AT = "at_ns"
_WAITED = "task_waited_us"
_MOST_NS = 10**15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Metrics since the sample before, NaN where one is unknown; times in ns.

    ``waited`` is the time in µs for which the task's cgroup had waited for a CPU by then
    (cpu.pressure, some); None where nothing tells it.
    """

    times: Array
    metrics: Mapping[Metric, Array]
    waited: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A finished phase. Times are ns since it began; ``stressed`` and ``ended`` bound the stress.

    ``watched`` are the samples at malacoda's period. ``steal`` is the share of all CPUs' time that
    the hypervisor took, ``load`` the machine's load average when the phase began.
    """

    phase: Phase
    stressed: int
    ended: int
    steal: float
    load: float
    samples: Samples
    jobs: Jobs
    watched: Samples | None = None


def format_facts(recording: Recording) -> str:
    """The phase's facts as JSON."""
    facts = {
        "v": _VERSION,
        "kind": "assurance-phase",
        "phase": recording.phase.name,
        "stressed_ns": recording.stressed,
        "ended_ns": recording.ended,
        "steal": round(recording.steal, 6),
        "load": recording.load,
    }
    return json.dumps(facts, indent=2) + "\n"


def format_samples(samples: Samples) -> str:
    """The samples as CSV."""
    columns = {name.value: samples.metrics[name] for name in sorted(samples.metrics)}
    waited = {} if samples.waited is None else {_WAITED: samples.waited}
    table = {_AT: samples.times, **columns, **waited}
    return _format_csv(list(table), list(table.values()))


def format_jobs(recording: Recording) -> str:
    """The jobs as CSV."""
    jobs = recording.jobs
    return _format_csv(_JOBS, (jobs.at, jobs.latency, jobs.slack))


def read_recording(
    phase: Phase, *, facts: str, samples: str, jobs: str, watched: str | None = None, source: str
) -> Recording:
    """Read the texts of a phase's directory ``source``. Raises ``InvalidInputError``."""
    where = f"{source}/phase.json"
    element = read_json(facts, source=where, error=InvalidInputError)
    field = element.fields(("v", "kind", "phase", "stressed_ns", "ended_ns", "steal", "load"))
    field["v"].integer(_VERSION, _VERSION)
    if field["kind"].value != "assurance-phase":
        raise field["kind"].invalid('"assurance-phase"')
    if field["phase"].value != phase.name:
        raise field["phase"].invalid(f'"{phase.name}", as its directory is called')
    stressed = field["stressed_ns"].integer(1, _MOST_NS)
    done = _read_csv(jobs, f"{source}/jobs.csv")
    if tuple(done) != _JOBS:
        raise _invalid(f"{source}/jobs.csv", ",".join(done), f"the heading {','.join(_JOBS)}")
    return Recording(
        phase=phase,
        stressed=stressed,
        ended=field["ended_ns"].integer(stressed, _MOST_NS),
        steal=_number(field["steal"]),
        load=_number(field["load"]),
        samples=_read_samples(samples, f"{source}/samples.csv"),
        jobs=Jobs(at=done["at_ns"], latency=done["latency_us"], slack=done["slack_us"]),
        watched=None if watched is None else _read_samples(watched, f"{source}/watched.csv"),
    )


def _read_samples(text: str, source: str) -> Samples:
    table = _read_csv(text, source)
    times, waited = table.pop(_AT, None), table.pop(_WAITED, None)
    if times is None or not table:
        raise _invalid(source, "no such columns", f"{_AT} and a metric")
    known = {name: Metric(name) for name in table if name in set(Metric)}
    metrics = {metric: table[name] for name, metric in known.items()}
    return Samples(times=times, metrics=metrics, waited=waited)


def _number(place: Json) -> float:
    expected = "a number from 0"
    value = place.number(expected)
    if value < 0:
        raise place.invalid(expected)
    return value


def _format_csv(names: Sequence[str], columns: Sequence[Array]) -> str:
    lines = [",".join(names)]
    lines += [",".join(f"{value:.12g}" for value in row) for row in zip(*columns, strict=True)]
    return "\n".join(lines) + "\n"


def _read_csv(text: str, source: str) -> dict[str, Array]:
    heading, _, body = text.partition("\n")
    names = heading.strip().split(",")
    if len(set(names)) != len(names) or not body.strip():
        raise _invalid(source, "no rows, or a column twice", "a heading and rows of numbers")
    try:
        rows = np.loadtxt(StringIO(body), delimiter=",", ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise _invalid(source, str(error), "rows of numbers") from None
    if rows.shape[1] != len(names):
        raise _invalid(source, f"{rows.shape[1]} columns", f"{len(names)}, as in the heading")
    return dict(zip(names, rows.T, strict=True))


def _invalid(source: str, found: str, expected: str) -> InvalidInputError:
    return InvalidInputError(source=source, path="$", found=found, expected=expected)
