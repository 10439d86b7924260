"""Mixed-criticality analyses of a task set (SMC, AMC-rtb, EDF-VD), for information only.

They need a monitor that acts at the very instant at which a task exceeds its lower WCET; budgets,
which k40s enforces, need none.
"""

from collections.abc import Callable, Sequence

from k40s.cpu.analysis.mixed_criticality import (
    DualTask,
    LevelTest,
    adaptive_response,
    adaptive_test,
    priority_order,
    static_response,
    static_test,
    virtual_deadline_factor,
)
from k40s.criticality import Criticality
from workbench.analysis.classic import Information
from workbench.inputs.bare_task_set import BareTask
from workbench.table import as_time

_SOURCE = "Baruah, Burns & Davis, RTSS 2011"

Figure = Callable[[DualTask, Sequence[DualTask]], str]
"""The response of a task below others, in words."""


def information_on(tasks: Sequence[BareTask]) -> tuple[Information, ...]:
    """SMC, AMC-rtb and EDF-VD for tasks of which one gives a ``wcet_hi``; nothing for others."""
    if all(task.wcet_hi is None for task in tasks):
        return ()
    names = [task.name for task in tasks]
    dual = [_dual(task) for task in tasks]
    return (
        _ordered("SMC", names, dual, static_test, _static_figure),
        _ordered("AMC-rtb", names, dual, adaptive_test, _adaptive_figure),
        _virtual_deadlines(dual),
    )


def _dual(task: BareTask) -> DualTask:
    is_hi = task.criticality is Criticality.HI
    return DualTask(
        wcet_low=task.wcet,
        wcet_hi=task.wcet_hi or task.wcet,
        period=task.period,
        deadline=task.deadline,
        is_hi=is_hi,
    )


def _ordered(
    name: str, names: Sequence[str], tasks: Sequence[DualTask], test: LevelTest, figure: Figure
) -> Information:
    """The test with the priorities that Audsley's search finds."""
    order = priority_order(tasks, test)
    if order is None:
        figures = "no order of priorities passes"
    else:
        figures = "; ".join(
            f"{names[index]} {figure(tasks[index], [tasks[above] for above in order[:rank]])}"
            for rank, index in enumerate(order)
        )
    return Information(name=name, source=_SOURCE, schedulable=order is not None, figures=figures)


def _static_figure(task: DualTask, above: Sequence[DualTask]) -> str:
    response = static_response(task, above)
    return "-" if response is None else as_time(response)


def _adaptive_figure(task: DualTask, above: Sequence[DualTask]) -> str:
    response = adaptive_response(task, above)
    if response is None:
        return "-"
    if response.hi is None:
        return as_time(response.low)
    return f"{as_time(response.low)}, in HI mode {as_time(response.hi)}"


def _virtual_deadlines(tasks: Sequence[DualTask]) -> Information:
    factor = virtual_deadline_factor(tasks)
    if factor is not None:
        figures = f"deadlines of HI tasks times {factor} in LOW mode"
    elif any(task.deadline != task.period for task in tasks):
        figures = "it speaks of deadlines equal to periods only"
    else:
        figures = "no factor for the deadlines of HI tasks passes"
    return Information(
        name="EDF-VD",
        source="Baruah et al., ECRTS 2012",
        schedulable=factor is not None,
        figures=figures,
    )
