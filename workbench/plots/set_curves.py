"""Curves of a bare task set under its schedulability test."""

from k40s.cpu.analysis.deferrable_server import deferrable
from k40s.cpu.analysis.edf import demand_bound
from k40s.cpu.analysis.supply_bound import periodic_resource
from workbench.analysis.classic import Analysis, ClassicReport
from workbench.inputs.bare_task_set import BareTaskSet, Scheduling
from workbench.plots.curves import (
    MAX_SAMPLES,
    DemandCurve,
    Points,
    Ranked,
    SupplyPicture,
    figures_text,
    in_server,
    inverted,
    left_by,
    left_out,
    requests,
)
from workbench.table import as_time


def curves_of_set(given: BareTaskSet, report: ClassicReport) -> SupplyPicture:
    """Supply and demand of a bare task set under the report's test."""
    if given.scheduling is Scheduling.EDF or report.test is Analysis.EDF:
        return _demand_of_all(given, report)
    results = sorted(report.tasks, key=lambda result: -result.task.priority)
    ranked = Ranked(
        names=tuple(r.task.name for r in results),
        tasks=tuple(
            (r.task.wcet + r.task.blocking, r.task.period, r.task.deadline) for r in results
        ),
        priorities=tuple(r.task.priority for r in results),
        responses=tuple(r.response for r in results),
    )
    if given.server is None:
        return SupplyPicture(
            title=report.model,
            supply=((0, 0), (ranked.horizon, ranked.horizon)),
            supply_label="the core",
            demands=requests(ranked),
            note=left_out(ranked),
        )
    server = (given.server.budget, given.server.period)
    if report.test is Analysis.PERIODIC_RESOURCE:
        supply = periodic_resource(*server)
        return SupplyPicture(
            title=f"{report.model}: {figures_text(*server)}",
            supply=inverted(supply.time_for, given.tick, server[0], ranked.horizon),
            supply_label="least supply",
            demands=requests(ranked),
            note=left_out(ranked),
        )
    if report.test is Analysis.DEFERRABLE_SERVER:
        taken = (deferrable(*server),)
        return SupplyPicture(
            title=f"{report.model}: {figures_text(*server)}",
            supply=left_by(taken, given.tick, ranked.horizon),
            supply_label="what the server leaves",
            demands=requests(ranked),
            note=left_out(ranked),
        )
    above = tuple(deferrable(rival.budget, rival.period) for rival in given.above)
    title = f"{report.model}: {figures_text(*server)}"
    return in_server(title, ranked, server, above, given.tick)


def _demand_of_all(given: BareTaskSet, report: ClassicReport) -> SupplyPicture:
    figures = [(t.wcet, t.period, t.deadline - t.jitter) for t in given.tasks]
    blocking = max(task.blocking for task in given.tasks)
    wanted = 2 * max(task.period for task in given.tasks)
    end = min(wanted, min(task.period for task in given.tasks) * MAX_SAMPLES)
    edges = sorted({d + k * t for _, t, d in figures for k in range((end - d) // t + 1)})
    points = [(0, 0), *((edge, demand_bound(figures, edge) + blocking) for edge in edges)]
    curve = DemandCurve(
        label="all tasks", points=tuple(points), deadline=None, response=None, demand_then=0
    )
    supply: Points = ((0, 0), (end, end))
    if given.server is not None:
        resource = periodic_resource(given.server.budget, given.server.period)
        supply = inverted(resource.time_for, given.tick, given.server.budget, end)
    return SupplyPicture(
        title=report.model,
        supply=supply,
        supply_label="the core" if given.server is None else "least supply",
        demands=(curve,),
        note=f"intervals up to {as_time(end)} are drawn" if end < wanted else "",
    )
