"""Bare task sets under fixed priorities: on a core, on a periodic resource, inside a server."""

from k40s.cpu.hierarchy import task_response
from k40s.cpu.response import Interference, response_time
from k40s.cpu.servers import deferrable, server_response
from k40s.cpu.single_server import hyperbolic_bound_holds, responses_below, tasks_bound
from k40s.cpu.supply import Supply, edf_holds, periodic_resource, response_on
from k40s.units import Nanoseconds, format_duration
from workbench.classic import (
    Analysis,
    ClassicReport,
    TaskResult,
    UnsuitableTestError,
    local_rivals,
    refuse_above,
    refuse_blocking,
    refuse_jitter,
    require_server,
    utilization,
    verdict,
)
from workbench.plain_set import PlainServer, PlainSet, PlainTask, Scheduling
from workbench.table import as_share


def judge_flat(given: PlainSet) -> ClassicReport:
    """Response times on a core of one's own, exact."""
    if given.server is not None:
        raise UnsuitableTestError("the test fp knows no server (the field server)")
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
        facts=(("utilization", as_share(utilization(given.tasks))),),
        detail=verdict(results),
    )


def judge_below_server(given: PlainSet) -> ClassicReport:
    """Response times below one deferrable server of the highest priority, and the classic bounds.

    The server is someone else's: the tasks run below it, not in it.
    """
    test = Analysis.DEFERRABLE_SERVER
    server = require_server(given, test)
    for refuse in (refuse_above, refuse_jitter, refuse_blocking):
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
            ("utilization", as_share(utilization(given.tasks))),
            ("server Q/P", as_share(server.share)),
            ("bound of Strosnider, Lehoczky & Sha 1995", f"{bound:.3f}"),
            ("hyperbolic bound", "passes" if hyperbolic else "does not pass, which says nothing"),
        ),
        detail=verdict(tuple(results.values())),
    )


def judge_on_periodic_resource(given: PlainSet) -> ClassicReport:
    """Response times on the least supply of a periodic resource, whoever else is there."""
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
        detail=verdict(results),
    )


def _edf_on(supply: Supply, given: PlainSet, server: PlainServer) -> ClassicReport:
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
    given: PlainSet, server: PlainServer, supply: Supply
) -> tuple[tuple[str, str], ...]:
    return (
        ("utilization", as_share(utilization(given.tasks))),
        ("supply", as_share(server.share)),
        ("longest time without supply", format_duration(supply.time_for(1) - 1)),
    )


def judge_in_server(given: PlainSet) -> ClassicReport:
    """Response times inside a deferrable server of given figures, below others of given figures."""
    test = Analysis.HIERARCHICAL
    server = require_server(given, test)
    refuse_jitter(given, test)
    if given.scheduling is not Scheduling.FIXED_PRIORITY:
        raise UnsuitableTestError("the test hierarchical orders tasks by fixed priorities only")
    above = tuple(deferrable(rival.budget, rival.period) for rival in given.above)
    received = server_response(server.budget, server.period, above, given.tick)
    results = tuple(
        _result(task, None if received is None else _inside(given, own, above))
        for own, task in enumerate(given.tasks)
    )
    detail = (
        f"the server may not have its budget {format_duration(given.tick)} before its period ends"
        if received is None
        else verdict(results)
    )
    return ClassicReport(
        test=test,
        model="fixed priorities inside a deferrable server",
        source="Davis & Burns, RTSS 2005, with the tick term",
        strength="sufficient",
        schedulable=received is not None and all(result.holds for result in results),
        tasks=results,
        facts=(
            ("utilization", as_share(utilization(given.tasks))),
            ("server Q/P", as_share(server.share)),
            (
                "server has its budget within",
                "-" if received is None else format_duration(received),
            ),
        ),
        detail=detail,
    )


def _inside(given: PlainSet, own: int, above: Interference) -> int | None:
    task, server = given.tasks[own], require_server(given, Analysis.HIERARCHICAL)
    return task_response(
        (task.wcet + task.blocking, task.period, task.deadline),
        tuple(_figures(rival) for rival in local_rivals(given.tasks, own)),
        (server.budget, server.period),
        above,
        given.tick,
    )


def _figures(task: PlainTask) -> tuple[int, int, int]:
    return (task.wcet, task.period, task.deadline)


def _result(task: PlainTask, response: int | None) -> TaskResult:
    return TaskResult(
        task=task,
        response=None if response is None else Nanoseconds(response),
        holds=response is not None,
    )
