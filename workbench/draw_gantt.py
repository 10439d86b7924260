"""Draws what ran when: a row for each task, grouped by server, with refills and throttling."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.lanes import Lane, Row
from workbench.paper import ALARM, INK, colours, quiet_grid, save, style, time_unit
from workbench.scenario import WHOLE_CORE, full_name
from workbench.simulating import SimulationReport
from workbench.trace import Span

MAX_ROWS = 40
_BAR = 0.56
_PAUSE = "#E6E6E6"
_ROW, _TITLE, _AROUND = 0.36, 0.34, 1.0
"""Inches for each row, above each lane, and for axis and legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    row: Row
    height: int
    colour: str


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
        rows = [_rows(lane) for lane in report.lanes]
        heights = [len(mine) + 0.6 for mine in rows]
        height = _AROUND + _TITLE * len(rows) + _ROW * sum(heights)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        grid = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)
        for lane, mine, axes in zip(report.lanes, rows, grid[:, 0], strict=True):
            view = _Window(start // lane.unit, end // lane.unit, scale / lane.unit)
            _draw_lane(axes, lane, mine, view)
        grid[-1, 0].set_xlabel(f"time [{unit}]")
        grid[-1, 0].set_xlim(start / scale, end / scale)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=6)
        save(figure, path)


def chosen_window(report: SimulationReport, window: int | None) -> tuple[int, int]:
    """From when to when, in ns: around the first miss, else from the start.

    Without a wish it is as long as two of the longest periods, but no longer than twelve of the
    shortest, so that bars stay visible.
    """
    periods = [
        row.period * lane.unit for lane in report.lanes for row in lane.rows if not row.burner
    ]
    length = window or min(2 * max(periods), 12 * min(periods))
    misses = [at * lane.unit for lane in report.lanes for _, _, at in lane.missed]
    start = max(0, min(misses) - length // 4) if misses else 0
    start = max(0, min(start, report.duration - length))
    return start, min(start + length, report.duration)


def _rows(lane: Lane) -> list[_Line]:
    """From the top; every server has its colour."""
    servers = list(dict.fromkeys(row.server for row in lane.rows))
    paint = dict(zip(servers, colours(len(servers)), strict=True))
    shown = lane.rows[:MAX_ROWS]
    return [
        _Line(row=row, height=len(shown) - 1 - index, colour=paint[row.server])
        for index, row in enumerate(shown)
    ]


def _draw_lane(axes: Axes, lane: Lane, lines: list[_Line], view: _Window) -> None:
    for line in lines:
        row = line.row
        mine = [s for s in lane.trace.spans if (s.server, s.task) == (row.server, row.task)]
        axes.broken_barh(
            view.bars(mine),
            (line.height - _BAR / 2, _BAR),
            facecolor=line.colour,
            alpha=0.35 if row.burner else 1.0,
            linewidth=0,
        )
        if not row.burner:
            _job_marks(axes, lane, line, view)
    for name in dict.fromkeys(line.row.server for line in lines if line.row.server != WHOLE_CORE):
        _server_marks(axes, lane, [line for line in lines if line.row.server == name], view)
    names = [full_name(line.row.server, line.row.task) for line in lines]
    axes.set_yticks([line.height for line in lines], names)
    axes.set_ylim(-0.75, len(lines) - 0.25)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(lane.title, loc="left")
    quiet_grid(axes)


def _job_marks(axes: Axes, lane: Lane, line: _Line, view: _Window) -> None:
    """Arrivals as arrows, deadlines as open triangles, misses as crosses."""
    row = line.row
    key = (row.server, row.task)
    arrivals = [m.at for m in lane.trace.releases if (m.server, m.task) == key]
    base = line.height - _BAR / 2
    came = view.points(arrivals)
    top = base + _BAR + 0.14
    axes.vlines(came, base, top, color=INK, linewidth=0.9)
    axes.plot(came, [top] * len(came), "^", color=INK, markersize=3.6, linestyle="none")
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
    late = [at + row.deadline for server, task, at in lane.missed if (server, task) == key]
    points = view.points(late)
    axes.plot(
        points,
        [line.height] * len(points),
        "X",
        color=ALARM,
        markersize=10,
        markeredgecolor="white",
        zorder=6,
        linestyle="none",
    )


def _server_marks(axes: Axes, lane: Lane, lines: list[_Line], view: _Window) -> None:
    """Throttled times behind the server's rows, and refills under them."""
    name = lines[0].row.server
    trace = lane.trace
    pauses = [s for s in trace.pauses if s.server == name]
    if name in trace.stopped:
        pauses.append(Span(name, "", trace.stopped[name], int(view.end)))
    top, bottom = lines[0].height + 0.42, lines[-1].height - 0.42
    axes.broken_barh(
        view.bars(pauses),
        (bottom, top - bottom),
        facecolor=_PAUSE,
        linewidth=0,
        zorder=0.5,
    )
    refills = view.points(m.at for m in trace.refills if m.server == name)
    axes.plot(
        refills,
        [bottom] * len(refills),
        "^",
        color=lines[0].colour,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        linestyle="none",
        zorder=4,
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
