"""A simulation's report as text and as JSON."""

from k40s.units import format_duration
from workbench.admission_json import VERSION, or_null
from workbench.scenario import full_name
from workbench.simulating import Seen, SimulationReport
from workbench.table import as_percent, format_table, or_dash


def format_report(report: SimulationReport) -> str:
    """A table of tasks, and one sentence."""
    rows = [_row(seen) for seen in report.seen]
    head = ("task", "core", "jobs", "misses", "longest response", "bound", "of bound", "deadline")
    return f"{format_table(head, rows)}\n\n{_sentence(report)}"


def report_json(report: SimulationReport) -> dict[str, object]:
    """The object that ``k40s simulate --json`` prints."""
    return {
        "v": VERSION,
        "kind": "simulation",
        "duration": format_duration(report.duration),
        "held": report.held,
        "bounded": report.bounded,
        "tasks": [
            {
                "server": seen.subject.server,
                "name": seen.subject.task,
                "core": seen.subject.core,
                "judged": seen.subject.judged,
                "jobs": seen.jobs,
                "misses": seen.misses,
                "longest": or_null(seen.longest),
                "bound": or_null(seen.subject.bound),
                "deadline": format_duration(seen.subject.deadline),
            }
            for seen in report.seen
        ],
    }


def _row(seen: Seen) -> tuple[str, ...]:
    subject = seen.subject
    both = seen.longest is not None and subject.bound is not None
    share = as_percent(seen.longest or 0, subject.bound or 1) if both else "-"
    return (
        full_name(subject.server, subject.task),
        subject.core,
        str(seen.jobs),
        str(seen.misses) if subject.judged else "not judged",
        or_dash(seen.longest),
        or_dash(subject.bound),
        share,
        format_duration(subject.deadline),
    )


def _sentence(report: SimulationReport) -> str:
    jobs = sum(seen.jobs for seen in report.seen if seen.subject.judged)
    misses = sum(seen.misses for seen in report.seen)
    beyond = [seen.subject.task for seen in report.seen if seen.subject.judged and not seen.within]
    time = format_duration(report.duration)
    text = f"{jobs} jobs in {time}, {misses or 'no'} deadline{'' if misses == 1 else 's'} missed"
    if beyond:
        text += f"; responses beyond the bound: {', '.join(beyond)}"
    return text
