"""The report of a classic analysis as text and as JSON."""

from collections.abc import Iterator
from fractions import Fraction

from k40s.units import format_duration
from workbench.analysis.classic import ClassicReport, Fact, TaskResult
from workbench.reports.admission_json import VERSION, or_null
from workbench.table import as_percent, as_share, as_time, format_table, or_dash

_NOT_A_GROUND = "For information, no ground to admit:"


def format_report(report: ClassicReport) -> str:
    """The test, a table of tasks, further figures, and the verdict."""
    parts = [
        f"test {report.test}: {report.model}\n{report.source}; {report.strength}",
        format_table(
            ("task", "priority", "wcet", "period", "deadline", "response", "of deadline"),
            [_row(result, by_deadline=report.by_deadline) for result in report.tasks],
        ),
        "\n".join(_facts(report.facts)),
    ]
    if report.information:
        parts.append("\n".join((_NOT_A_GROUND, *_information(report))))
    parts.append(
        "schedulable" if report.schedulable else f"{_no(report.strength)}: {report.detail}"
    )
    return "\n\n".join(parts)


def report_json(report: ClassicReport) -> dict[str, object]:
    """The object that ``k40s analyze --json`` prints for a bare task set."""
    return {
        "v": VERSION,
        "kind": "task-set",
        "test": str(report.test),
        "model": report.model,
        "source": report.source,
        "strength": report.strength,
        "schedulable": report.schedulable,
        "detail": report.detail,
        "tasks": [_task_json(result) for result in report.tasks],
        "facts": {name: _fact_json(fact) for name, fact in report.facts},
        "information": [
            {
                "name": result.name,
                "source": result.source,
                "schedulable": result.schedulable,
                "figures": result.figures,
            }
            for result in report.information
        ],
    }


def _no(strength: str) -> str:
    """A sufficient test that fails proves nothing."""
    return "not schedulable" if strength == "exact" else "not shown to be schedulable"


def _facts(facts: tuple[tuple[str, Fact], ...]) -> Iterator[str]:
    """Shares with enough decimals to differ from one another, and from 1."""
    shares = [Fraction(fact) for _, fact in facts if isinstance(fact, Fraction | float)]
    for name, fact in facts:
        match fact:
            case Fraction() | float():
                others = [share for share in shares if share != fact]
                yield f"{name}: {as_share(Fraction(fact), Fraction(1), *others)}"
            case int():
                yield f"{name}: {as_time(fact)}"
            case _:
                yield f"{name}: {fact or '-'}"


def _fact_json(fact: Fact) -> str | None:
    match fact:
        case Fraction() | float():
            return str(fact)
        case int():
            return format_duration(fact)
        case _:
            return fact


def _row(result: TaskResult, *, by_deadline: bool) -> tuple[str, ...]:
    task = result.task
    response = or_dash(result.response)
    return (
        task.name,
        "-" if by_deadline else str(task.priority),
        as_time(task.wcet),
        as_time(task.period),
        as_time(task.deadline),
        "in time" if by_deadline and result.holds else response,
        "-" if result.response is None else as_percent(result.response, task.deadline),
    )


def _task_json(result: TaskResult) -> dict[str, object]:
    task = result.task
    return {
        "name": task.name,
        "priority": task.priority,
        "wcet": format_duration(task.wcet),
        "period": format_duration(task.period),
        "deadline": format_duration(task.deadline),
        "response": or_null(result.response),
        "holds": result.holds,
    }


def _information(report: ClassicReport) -> Iterator[str]:
    for result in report.information:
        outcome = "passes" if result.schedulable else "does not pass"
        yield f"  {result.name} ({result.source}) {outcome}: {result.figures}"
