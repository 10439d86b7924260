"""Report types of the classic schedulability tests of bare task sets, and shared checks.

Figures are taken as they are written: no overheads are added, and nothing is rounded but the
results, so that published examples come out as they were published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from k40s.errors import K40sError
from k40s.units import Nanoseconds
from workbench.inputs.bare_task_set import BareServer, BareTask, BareTaskSet, Scheduling

Fact = Fraction | float | Nanoseconds | str | None
"""An exact share, one that is irrational, a time, words; None where there is no figure."""


class Analysis(StrEnum):
    """Names of tests, as ``--test`` takes them."""

    FIXED_PRIORITY = "fp"
    EDF = "edf"
    DEFERRABLE_SERVER = "ds"
    PERIODIC_RESOURCE = "prm"
    HIERARCHICAL = "hierarchical"


class UnsuitableTestError(K40sError):
    """The chosen test does not apply to such a task set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """``response`` is None where the deadline may pass, or the test gives no response times."""

    task: BareTask
    response: Nanoseconds | None
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """A result for information, never a ground to admit."""

    name: str
    source: str
    schedulable: bool
    figures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicReport:
    """``strength`` says whether a no is a proof (exact) or may be pessimistic (sufficient).

    ``facts`` are further figures, each with its name; ``detail`` says why the answer is no.
    ``by_deadline``: tasks are ordered by EDF, whose tests give no response times.
    """

    test: Analysis
    model: str
    source: str
    strength: str
    schedulable: bool
    tasks: tuple[TaskResult, ...]
    facts: tuple[tuple[str, Fact], ...] = ()
    detail: str = ""
    information: tuple[Information, ...] = ()
    by_deadline: bool = False


def utilization(tasks: Sequence[BareTask]) -> Fraction:
    """ΣC/T."""
    return sum((Fraction(task.wcet, task.period) for task in tasks), Fraction(0))


def local_rivals(tasks: Sequence[BareTask], own: int) -> list[BareTask]:
    """The other tasks of the same or a higher priority: equal ones interfere both ways."""
    priority = tasks[own].priority
    return [task for other, task in enumerate(tasks) if other != own and task.priority >= priority]


def require_server(given: BareTaskSet, test: Analysis) -> BareServer:
    """The server of the set. Raises ``UnsuitableTestError`` where the file names none."""
    if given.server is None:
        raise UnsuitableTestError(f"the test {test} needs a field server with budget and period")
    return given.server


def refuse_edf(given: BareTaskSet, test: Analysis) -> None:
    """Raise ``UnsuitableTestError`` where the file says that EDF orders the tasks."""
    if given.scheduling is Scheduling.EDF:
        raise UnsuitableTestError(
            f"the test {test} orders tasks by fixed priorities, and the file says scheduling: edf"
        )


def refuse_above(given: BareTaskSet, test: Analysis) -> None:
    """Raise ``UnsuitableTestError`` where servers rank above, which the test does not know."""
    if given.above:
        raise UnsuitableTestError(f"the test {test} knows no servers above (the field above)")


def refuse_jitter(given: BareTaskSet, test: Analysis) -> None:
    """Raise ``UnsuitableTestError`` where a task has release jitter, which the test can't take."""
    late = [task.name for task in given.tasks if task.jitter]
    if late:
        raise UnsuitableTestError(f"the test {test} knows no release jitter, as {late[0]} has")


def refuse_blocking(given: BareTaskSet, test: Analysis) -> None:
    """Raise ``UnsuitableTestError`` where a task has a blocking term, which the test can't take."""
    blocked = [task.name for task in given.tasks if task.blocking]
    if blocked:
        raise UnsuitableTestError(f"the test {test} knows no blocking, as {blocked[0]} has")


def late_tasks(results: Sequence[TaskResult]) -> str:
    """The tasks that may miss their deadlines, as text; "" for none."""
    late = [result.task.name for result in results if not result.holds]
    return f"the deadline may be missed by {', '.join(late)}" if late else ""
