"""Bare task sets under fixed priorities: on a core, on a periodic resource, inside a server."""

from k40s.cpu.analysis.deferrable_server import (
    deferrable,
    hyperbolic_bound_holds,
    responses_below,
    server_response,
    tasks_bound,
)
from k40s.cpu.analysis.response_time import Interference, response_time, task_response
from k40s.cpu.analysis.supply_bound import Supply, edf_holds, periodic_resource, response_on
from k40s.units import Nanoseconds
from workbench.analysis.classic import (
    Analysis,
    ClassicReport,
    Fact,
    TaskResult,
    UnsuitableTestError,
    late_tasks,
    local_rivals,
    refuse_above,
    refuse_blocking,
    refuse_edf,
    refuse_jitter,
    require_server,
    utilization,
)
from workbench.inputs.bare_task_set import BareServer, BareTask, BareTaskSet, Scheduling
from workbench.table import as_time


def analyze_fixed_priority(given: BareTaskSet) -> ClassicReport:
    """Exact response times on a dedicated core."""
    if given.server is not None:
        raise UnsuitableTestError("the test fp knows no server (the field server)")
    refuse_edf(given, Analysis.FIXED_PRIORITY)
    results = tuple(
        _result(
            task,
            response_time(
                wcet=task.wcet,
                deadline=task.deadline,
                above=tuple(
                    (rival.wcet, rival.period, rival.jitter)
                    for rival in local_rivals(given.tasks, own)
                ),
                blocking=task.blocking,
                jitter=task.jitter,
            ),
        )
        for own, task in enumerate(given.tasks)
    )
    return ClassicReport(
        test=Analysis.FIXED_PRIORITY,
        model="fixed priorities on one core",
        source="Joseph & Pandya 1986; Audsley et al. 1993",
        strength="exact" if not any(task.blocking for task in given.tasks) else "sufficient",
        schedulable=all(result.holds for result in results),
        tasks=results,
        facts=(("utilization", utilization(given.tasks)),),
        detail=late_tasks(results),
    )


def analyze_below_server(given: BareTaskSet) -> ClassicReport:
    """Response times below one deferrable server of the highest priority, and the classic bounds.

    The tasks run below the server, not in it.
    """
    test = Analysis.DEFERRABLE_SERVER
    server = require_server(given, test)
    for refuse in (refuse_edf, refuse_above, refuse_jitter, refuse_blocking):
        refuse(given, test)
    ranked = sorted(given.tasks, key=lambda task: -task.priority)
    if len({task.priority for task in ranked}) < len(ranked):
        raise UnsuitableTestError("the test ds needs a priority of its own for every task")
    figures = [_figures(task) for task in ranked]
    top = (server.budget, server.period)
    results = {}
    for index, task in enumerate(ranked):
        found = responses_below(figures[: index + 1], (top,), given.tick)
        results[task.name] = _result(task, None if found is None else found[-1])
    bound = tasks_bound(server.share, len(ranked))
    hyperbolic = given.tick == 0 and hyperbolic_bound_holds(figures, top)
    return ClassicReport(
        test=test,
        model="fixed priorities below one deferrable server",
        source="Ghazalie & Baker 1995; Bernat & Burns, RTSS 1999",
        strength="exact" if given.tick == 0 else "sufficient",
        schedulable=all(result.holds for result in results.values()),
        tasks=tuple(results[task.name] for task in given.tasks),
        facts=(
            ("utilization", utilization(given.tasks)),
            ("server Q/P", server.share),
            ("bound of Strosnider, Lehoczky & Sha 1995", bound),
            ("hyperbolic bound", "passes" if hyperbolic else "does not pass, which says nothing"),
        ),
        detail=late_tasks(tuple(results.values())),
    )


def analyze_on_periodic_resource(given: BareTaskSet) -> ClassicReport:
    """Response times on the least supply of a periodic resource, independent of other load."""
    test = Analysis.PERIODIC_RESOURCE
    server = require_server(given, test)
    refuse_above(given, test)
    refuse_jitter(given, test)
    supply = periodic_resource(server.budget, server.period, given.tick)
    if given.scheduling is Scheduling.EDF:
        return _edf_on(supply, given, server)
    results = tuple(
        _result(
            task,
            response_on(
                supply,
                _figures(task),
                tuple(_figures(rival) for rival in local_rivals(given.tasks, own)),
                task.blocking,
            ),
        )
        for own, task in enumerate(given.tasks)
    )
    return ClassicReport(
        test=test,
        model="fixed priorities on a periodic resource",
        source="Shin & Lee, RTSS 2003",
        strength="sufficient",
        schedulable=all(result.holds for result in results),
        tasks=results,
        facts=_supply_facts(given, server, supply),
        detail=late_tasks(results),
    )


def _edf_on(supply: Supply, given: BareTaskSet, server: BareServer) -> ClassicReport:
    figures = [_figures(task) for task in given.tasks]
    holds = edf_holds(supply, figures, max(task.blocking for task in given.tasks))
    return ClassicReport(
        test=Analysis.PERIODIC_RESOURCE,
        model="EDF on a periodic resource",
        source="Shin & Lee, RTSS 2003",
        strength="sufficient",
        schedulable=holds,
        tasks=tuple(TaskResult(task=task, response=None, holds=holds) for task in given.tasks),
        facts=_supply_facts(given, server, supply),
        detail="" if holds else "some interval can have more demand than the resource supplies",
        by_deadline=True,
    )


def _supply_facts(
    given: BareTaskSet, server: BareServer, supply: Supply
) -> tuple[tuple[str, Fact], ...]:
    return (
        ("utilization", utilization(given.tasks)),
        ("supply", server.share),
        ("longest time without supply", Nanoseconds(supply.time_for(1) - 1)),
    )


def analyze_in_server(given: BareTaskSet) -> ClassicReport:
    """Response times inside a deferrable server of given figures, below others of given figures."""
    test = Analysis.HIERARCHICAL
    server = require_server(given, test)
    refuse_jitter(given, test)
    refuse_edf(given, test)
    above = tuple(deferrable(rival.budget, rival.period) for rival in given.above)
    received = server_response(server.budget, server.period, above, given.tick)
    results = tuple(
        _result(task, None if received is None else _inside(given, own, above))
        for own, task in enumerate(given.tasks)
    )
    detail = (
        f"the server may not have its budget {as_time(given.tick)} before its period ends"
        if received is None
        else late_tasks(results)
    )
    return ClassicReport(
        test=test,
        model="fixed priorities inside a deferrable server",
        source="Davis & Burns, RTSS 2005, with the tick term",
        strength="sufficient",
        schedulable=received is not None and all(result.holds for result in results),
        tasks=results,
        facts=(
            ("utilization", utilization(given.tasks)),
            ("server Q/P", server.share),
            (
                "server has its budget within",
                None if received is None else Nanoseconds(received),
            ),
        ),
        detail=detail,
    )


def _inside(given: BareTaskSet, own: int, above: Interference) -> int | None:
    task, server = given.tasks[own], require_server(given, Analysis.HIERARCHICAL)
    return task_response(
        (task.wcet + task.blocking, task.period, task.deadline),
        tuple(_figures(rival) for rival in local_rivals(given.tasks, own)),
        (server.budget, server.period),
        above,
        given.tick,
    )


def _figures(task: BareTask) -> tuple[int, int, int]:
    return (task.wcet, task.period, task.deadline)


def _result(task: BareTask, response: int | None) -> TaskResult:
    return TaskResult(
        task=task,
        response=None if response is None else Nanoseconds(response),
        holds=response is not None,
    )
