"""A simulation's report as text and as JSON."""

from collections.abc import Iterator

from k40s.units import format_duration
from workbench.reports.admission_json import VERSION, or_null
from workbench.simulation.run import Observation, SimulationReport
from workbench.simulation.scenario import full_name
from workbench.table import as_percent, as_time, format_table, or_dash


def format_report(report: SimulationReport) -> str:
    """A table of tasks, and one sentence."""
    rows = [_row(seen) for seen in report.observations]
    head = ("task", "core", "jobs", "misses", "longest response", "bound", "of bound", "deadline")
    lines = [format_table(head, rows), *_dashes(report)]
    return "\n".join(lines) + f"\n\n{_sentence(report)}"


def report_json(report: SimulationReport) -> dict[str, object]:
    """The object that ``k40s simulate --json`` prints; null where no job was seen to its end."""
    return {
        "v": VERSION,
        "kind": "simulation",
        "duration": format_duration(report.duration),
        "held": report.held if report.judged else None,
        "bounded": report.bounded if report.judged else None,
        "tasks": [
            {
                "server": seen.planned.server,
                "name": seen.planned.task,
                "core": seen.planned.core,
                "judged": seen.planned.judged,
                "jobs": seen.jobs,
                "misses": seen.misses,
                "longest": or_null(seen.longest),
                "bound": or_null(seen.planned.bound),
                "deadline": format_duration(seen.planned.deadline),
            }
            for seen in report.observations
        ],
    }


def _row(seen: Observation) -> tuple[str, ...]:
    planned = seen.planned
    both = seen.longest is not None and planned.bound is not None
    share = as_percent(seen.longest or 0, planned.bound or 1) if both else "-"
    return (
        full_name(planned.server, planned.task),
        planned.core,
        str(seen.jobs),
        str(seen.misses) if planned.judged else "not judged",
        or_dash(seen.longest),
        or_dash(planned.bound),
        share,
        as_time(planned.deadline),
    )


def _dashes(report: SimulationReport) -> Iterator[str]:
    """Explanations of the dashes in the table."""
    if any(seen.longest is None for seen in report.observations):
        yield "longest response -: no job ended"
    if any(seen.planned.bound is None for seen in report.observations):
        yield "bound -: the analysis promises no response time"


def _sentence(report: SimulationReport) -> str:
    time = as_time(report.duration)
    judged = [seen for seen in report.observations if seen.planned.judged]
    if not judged:
        return f"no task was judged in {time}: each shares its container with a rogue"
    if not report.judged:
        return f"no job ended in {time}, so nothing was seen: make --for longer"
    misses = sum(seen.misses for seen in report.observations)
    text = (
        f"{sum(seen.jobs for seen in judged)} jobs in {time}, "
        f"{misses or 'no'} deadline{'' if misses == 1 else 's'} missed"
    )
    beyond = [_named(seen) for seen in judged if not seen.within]
    if beyond:
        text += f"; responses beyond the bound: {', '.join(beyond)}"
    unseen = [_named(seen) for seen in judged if not seen.jobs]
    if unseen:
        text += f"; no job ended of {', '.join(unseen)}"
    return text


def _named(seen: Observation) -> str:
    return full_name(seen.planned.server, seen.planned.task)
