"""A container's tasks over the cores of a node: whole on one core, or split over several.

Bins are filled in the order of the node's packing (first, best or worst fit), inside a job by
decreasing utilization. Not optimal: a job may be refused that another assignment would fit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from k40s.cpu.bandwidth import share_below
from k40s.cpu.cores import NodeLoad
from k40s.cpu.figures import task_figures
from k40s.cpu.model import ANY_CORE, CpuNode, Task
from k40s.cpu.outcome import Rejection
from k40s.cpu.seats import Seat
from k40s.reasons import Reason

Refusals = list[tuple[int, Rejection]]
"""Why, by core."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of a job's tasks on one core, and the node with them."""

    core: int
    tasks: tuple[Task, ...]
    node: CpuNode


def assign(load: NodeLoad, tasks: tuple[Task, ...], seat: Seat) -> CpuNode | Refusals:
    """The node with all tasks on it, or why not.

    A job is split if its tasks ask for different cores, or if no core takes it whole.
    """
    asked = {task.core for task in tasks if task.core is not None}
    if len(asked) > 1:
        return _split(load, tasks, seat)
    outcome = _first(load, asked or load.in_order(), tasks, seat)
    if isinstance(outcome, CpuNode) or len(tasks) == 1 or all(t.core is not None for t in tasks):
        return outcome
    parts = _split(load, tasks, seat)
    return parts if isinstance(parts, CpuNode) else outcome


def migrate(load: NodeLoad, tasks: tuple[Task, ...], seat: Seat) -> CpuNode | Refusals:
    """The node with all tasks in its shared root domain, where no thread can be pinned."""
    asked = {task.core for task in tasks if task.core is not None}
    if asked:
        detail = "in a shared root domain SCHED_DEADLINE threads have no core of their own"
        return [(core, Rejection(reason=Reason.CPU_NO_MECHANISM, detail=detail)) for core in asked]
    return _first(load, (ANY_CORE,), tasks, seat)


def _first(
    load: NodeLoad, cores: Iterable[int], tasks: tuple[Task, ...], seat: Seat
) -> CpuNode | Refusals:
    refusals: Refusals = []
    for core in cores:
        outcome = seat(load, core, tasks)
        if isinstance(outcome, CpuNode):
            return outcome
        refusals.append((core, outcome))
    return refusals


def _split(load: NodeLoad, tasks: tuple[Task, ...], seat: Seat) -> CpuNode | Refusals:
    """Task by task: those that ask for a core first, then by decreasing utilization."""
    parts: list[_Part] = []
    for task in sorted(tasks, key=lambda task: (task.core is None, -_share(task))):
        now = NodeLoad(parts[-1].node) if parts else load
        refusals: Refusals = []
        for core in now.in_order() if task.core is None else (task.core,):
            kept, again = _with_one_more(parts, core, task)
            outcome = _seated(load, kept, [(c, _as_given(ts, tasks)) for c, ts in again], seat)
            if not isinstance(outcome, Rejection):
                parts = outcome
                break
            refusals.append((core, outcome))
        else:
            return refusals
    return parts[-1].node


def _with_one_more(
    parts: list[_Part], core: int, task: Task
) -> tuple[list[_Part], list[tuple[int, tuple[Task, ...]]]]:
    """The parts that stay when one more task joins, and what has to be seated anew.

    All from the part that it joins on, because budget groups and the node's bandwidth are common.
    """
    at = next((index for index, part in enumerate(parts) if part.core == core), len(parts))
    again = [(part.core, part.tasks) for part in parts[at:]] or [(core, ())]
    again[0] = (core, (*again[0][1], task))
    return parts[:at], again


def _seated(
    load: NodeLoad,
    kept: list[_Part],
    wanted: list[tuple[int, tuple[Task, ...]]],
    seat: Seat,
) -> list[_Part] | Rejection:
    parts = list(kept)
    for core, tasks in wanted:
        outcome = seat(NodeLoad(parts[-1].node) if parts else load, core, tasks)
        if isinstance(outcome, Rejection):
            return outcome
        parts.append(_Part(core, tasks, outcome))
    return parts


def _as_given(some: tuple[Task, ...], tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """In the order in which the container lists them."""
    return tuple(sorted(some, key=tasks.index))


def _share(task: Task) -> int:
    wcet, period, _deadline = task_figures(task)
    return share_below(wcet, period)
