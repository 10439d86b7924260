"""The picture of a bare task set under the test that judged it."""

from k40s.cpu.edf import demand_bound
from k40s.cpu.servers import deferrable
from k40s.cpu.supply import periodic_resource
from workbench.classic import Analysis, ClassicReport
from workbench.curves import (
    MAX_SAMPLES,
    DemandCurve,
    Points,
    Ranked,
    SupplyPicture,
    figures_text,
    in_server,
    inverted,
    left_by,
    requests,
)
from workbench.plain_set import PlainSet, Scheduling


def curves_of_set(given: PlainSet, report: ClassicReport) -> SupplyPicture:
    """The picture of a bare task set under the test that judged it."""
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
        )
    server = (given.server.budget, given.server.period)
    if report.test is Analysis.PERIODIC_RESOURCE:
        supply = periodic_resource(*server)
        return SupplyPicture(
            title=f"{report.model}: {figures_text(*server)}",
            supply=inverted(supply.time_for, given.tick, server[0], ranked.horizon),
            supply_label="least supply",
            demands=requests(ranked),
        )
    if report.test is Analysis.DEFERRABLE_SERVER:
        taken = (deferrable(*server),)
        return SupplyPicture(
            title=f"{report.model}: {figures_text(*server)}",
            supply=left_by(taken, given.tick, ranked.horizon),
            supply_label="what the server leaves",
            demands=requests(ranked),
        )
    above = tuple(deferrable(rival.budget, rival.period) for rival in given.above)
    title = f"{report.model}: {figures_text(*server)}"
    return in_server(title, ranked, server, above, given.tick)


def _demand_of_all(given: PlainSet, report: ClassicReport) -> SupplyPicture:
    figures = [(t.wcet, t.period, t.deadline - t.jitter) for t in given.tasks]
    blocking = max(task.blocking for task in given.tasks)
    end = 2 * max(task.period for task in given.tasks)
    shortest = min(task.period for task in given.tasks)
    end = min(end, shortest * MAX_SAMPLES)
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
    )
