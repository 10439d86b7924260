"""Draws what ran when: a row for each task, grouped by server, with refills and throttling."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.paper import ALARM, INK, colours, quiet_grid, save, style, time_unit
from workbench.scenario import WHOLE_CORE, full_name
from workbench.simulating import CoreRun, SimulationReport
from workbench.trace import Span

MAX_ROWS = 40
_BAR = 0.56
_PAUSE = "#E6E6E6"
_ROW = 0.36
"""Inches for each row."""


@dataclass(frozen=True, slots=True)
class _Row:
    server: str
    task: str
    height: int
    colour: str
    deadline: int


@dataclass(frozen=True, slots=True)
class _Window:
    """What is shown, in the unit of the simulation; ``scale`` units are one of the axis."""

    start: int
    end: int
    scale: float

    def bars(self, spans: Iterable[Span]) -> list[tuple[float, float]]:
        """Spans as (left, width) on the axis, cut at the window's ends."""
        cut = [(max(s.start, self.start), min(s.end, self.end)) for s in spans]
        return [(a / self.scale, (b - a) / self.scale) for a, b in cut if b > a]

    def points(self, instants: Iterable[int]) -> list[float]:
        """Instants inside the window, on the axis."""
        return [at / self.scale for at in instants if self.start <= at <= self.end]


def draw(report: SimulationReport, path: Path, *, window: int | None) -> None:
    """Write the chart of all cores. Raises ``OSError``."""
    start, end = chosen_window(report, window)
    unit, scale = time_unit(end - start)
    with style():
        rows = [list(_rows(run)) for run in report.runs]
        heights = [len(mine) + 0.8 for mine in rows]
        figure = Figure(figsize=(9.6, 1.5 + _ROW * sum(heights)), layout="constrained")
        grid = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)
        for run, mine, axes in zip(report.runs, rows, grid[:, 0], strict=True):
            unit_ns = run.plan.unit
            view = _Window(start // unit_ns, end // unit_ns, scale / unit_ns)
            _draw_core(axes, run, mine, view)
        grid[-1, 0].set_xlabel(f"time [{unit}]")
        grid[-1, 0].set_xlim(start / scale, end / scale)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=6)
        save(figure, path)


def chosen_window(report: SimulationReport, window: int | None) -> tuple[int, int]:
    """From when to when, in ns: around the first miss, else from the start.

    Without a wish it is as long as two of the longest periods, but no longer than twelve of the
    shortest, so that bars stay visible.
    """
    plans = [run.plan for run in report.runs]
    tasks = [
        (task.period * plan.unit, server.name)
        for plan in plans
        for server in plan.servers
        for task in server.tasks
        if (server.name, task.name) in {(s.server, s.task) for s in plan.subjects}
    ]
    periods = [period for period, _ in tasks]
    length = window or min(2 * max(periods), 12 * min(periods))
    misses = [at * run.plan.unit for run in report.runs for _, _, at in run.missed]
    start = max(0, min(misses) - length // 4) if misses else 0
    start = max(0, min(start, report.duration - length))
    return start, min(start + length, report.duration)


def _rows(run: CoreRun) -> Iterator[_Row]:
    """From the top, the most urgent first."""
    servers = sorted(run.plan.servers, key=lambda s: -max(t.priority for t in s.tasks))
    total = min(MAX_ROWS, sum(len(server.tasks) for server in servers))
    height = total
    for server, colour in zip(servers, colours(len(servers)), strict=True):
        for task in sorted(server.tasks, key=lambda task: -task.priority):
            height -= 1
            if height >= 0:
                yield _Row(server.name, task.name, height, colour, task.deadline)


def _draw_core(axes: Axes, run: CoreRun, rows: list[_Row], view: _Window) -> None:
    trace = run.trace
    for row in rows:
        mine = [s for s in trace.spans if (s.server, s.task) == (row.server, row.task)]
        burner = row.task.startswith("(")
        axes.broken_barh(
            view.bars(mine),
            (row.height - _BAR / 2, _BAR),
            facecolor=row.colour,
            alpha=0.35 if burner else 1.0,
            linewidth=0,
        )
        if not burner:
            _job_marks(axes, run, row, view)
    for name in {row.server for row in rows if row.server != WHOLE_CORE}:
        _server_marks(axes, run, [row for row in rows if row.server == name], view)
    axes.set_yticks([row.height for row in rows], [full_name(r.server, r.task) for r in rows])
    axes.set_ylim(-0.7, len(rows) - 0.1)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    tick = f", tick {run.plan.tick * run.plan.unit / 1e6:g} ms" if run.plan.tick else ""
    axes.set_title(f"core {run.plan.core}{tick}", loc="left")
    quiet_grid(axes)


def _job_marks(axes: Axes, run: CoreRun, row: _Row, view: _Window) -> None:
    """Arrivals as arrows, deadlines as open triangles, misses as crosses."""
    key = (row.server, row.task)
    arrivals = [m.at for m in run.trace.releases if (m.server, m.task) == key]
    base = row.height - _BAR / 2
    for at in view.points(arrivals):
        axes.annotate(
            "",
            xy=(at, base + _BAR + 0.2),
            xytext=(at, base),
            arrowprops={
                "arrowstyle": "-|>,head_width=0.14,head_length=0.26",
                "color": INK,
                "linewidth": 0.9,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
    due = view.points(at + row.deadline for at in arrivals)
    axes.plot(
        due,
        [base] * len(due),
        "v",
        markerfacecolor="white",
        markeredgecolor=INK,
        markersize=5,
        markeredgewidth=0.8,
        linestyle="none",
        zorder=5,
    )
    late = [at + row.deadline for server, task, at in run.missed if (server, task) == key]
    points = view.points(late)
    axes.plot(
        points,
        [row.height] * len(points),
        "X",
        color=ALARM,
        markersize=10,
        markeredgecolor="white",
        zorder=6,
        linestyle="none",
    )


def _server_marks(axes: Axes, run: CoreRun, rows: list[_Row], view: _Window) -> None:
    """Throttled times behind the server's rows, and refills under them."""
    name = rows[0].server
    end = int(view.end)
    pauses = [s for s in run.trace.pauses if s.server == name]
    if name in run.trace.stopped:
        pauses.append(Span(name, "", run.trace.stopped[name], end))
    top, bottom = rows[0].height + 0.42, rows[-1].height - 0.42
    axes.broken_barh(
        view.bars(pauses),
        (bottom, top - bottom),
        facecolor=_PAUSE,
        linewidth=0,
        zorder=0.5,
    )
    refills = view.points(m.at for m in run.trace.refills if m.server == name)
    axes.plot(
        refills,
        [bottom] * len(refills),
        "^",
        color=rows[0].colour,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        linestyle="none",
        zorder=4,
        clip_on=False,
    )


def _legend() -> list[Line2D | Patch]:
    first = colours(1)[0]
    return [
        Patch(facecolor=first, label="runs"),
        _sample("$↑$", INK, "arrives"),
        Line2D(
            [],
            [],
            marker="v",
            markerfacecolor="white",
            markeredgecolor=INK,
            markersize=6,
            label="deadline",
            linestyle="none",
        ),
        _sample("X", ALARM, "missed"),
        _sample("^", first, "refill"),
        Patch(facecolor=_PAUSE, label="throttled"),
    ]


def _sample(marker: str, colour: str, label: str) -> Line2D:
    return Line2D([], [], marker=marker, color=colour, markersize=7, label=label, linestyle="none")
