"""Draws Gantt charts: a row for each task, by server, with replenishments and throttling."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.plots.chart import DrawnPanel, chart_of
from workbench.plots.style import (
    ALARM,
    INK,
    QUIET,
    colours,
    plain,
    quiet_grid,
    save,
    style,
    time_unit,
)
from workbench.simulation.gantt_rows import Panel, Row
from workbench.simulation.run import SimulationReport
from workbench.simulation.scenario import WHOLE_CORE, full_name
from workbench.simulation.trace import Span
from workbench.table import as_time

_BAR = 0.56
_PAUSE = "#E6E6E6"
_ROW, _TITLE, _AROUND = 0.36, 0.34, 1.0
"""Inches for each row, above each panel, and for axis and legend."""
_MARGIN = 0.012
"""Share of the time window left free at both ends, so that no mark is cut."""
_MAX_NAME = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    row: Row
    height: int
    colour: str


@dataclass(frozen=True, slots=True)
class _Window:
    """The time window, in the simulation's unit; ``scale`` units are one of the axis."""

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
    chart = chart_of(report, window)
    unit, scale = time_unit(chart.end - chart.start)
    with style():
        heights = [len(shown.rows) + 0.6 for shown in chart.panels]
        height = _AROUND + _TITLE * len(heights) + _ROW * sum(heights)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        margin = max(1, chart.end - chart.start) * _MARGIN
        for shown, axes in zip(chart.panels, grid[:, 0], strict=True):
            panel = shown.panel
            view = _Window(chart.start // panel.unit, chart.end // panel.unit, scale / panel.unit)
            _draw_panel(axes, shown, view)
            axes.set_xlim((chart.start - margin) / scale, (chart.end + margin) / scale)
        note = f"\n{chart.note}" if chart.note else ""
        grid[-1, 0].set_xlabel(f"time [{unit}]{note}")
        figure.legend(handles=_legend(), loc="outside lower center", ncols=6)
        save(figure, path)


def _lines(shown: DrawnPanel) -> list[_Line]:
    """From the top; every server has its colour."""
    servers = list(dict.fromkeys(row.server for row in shown.panel.rows))
    paint = dict(zip(servers, colours(len(servers)), strict=True))
    return [
        _Line(row=row, height=len(shown.rows) - 1 - index, colour=paint[row.server])
        for index, row in enumerate(shown.rows)
    ]


def _draw_panel(axes: Axes, shown: DrawnPanel, view: _Window) -> None:
    panel, lines = shown.panel, _lines(shown)
    spans = [s for s in panel.trace.spans if s.end > view.start and s.start < view.end]
    for line in lines:
        row = line.row
        mine = [s for s in spans if (s.server, s.task) == (row.server, row.task)]
        axes.broken_barh(
            view.bars(mine),
            (line.height - _BAR / 2, _BAR),
            facecolor=line.colour,
            # An edge, so that the shortest run is seen beside the arrow of its arrival.
            edgecolor=line.colour,
            linewidth=0.0 if row.burner else 1.4,
            alpha=0.35 if row.burner else 1.0,
            zorder=3,
        )
        marked = not row.burner and _job_marks(axes, panel, line, view)
        if not mine and not marked:
            _say_idle(axes, line, panel.unit, view)
    for name in dict.fromkeys(line.row.server for line in lines if line.row.server != WHOLE_CORE):
        _server_marks(axes, panel, [line for line in lines if line.row.server == name], view)
    names = [plain(full_name(line.row.server, line.row.task), _MAX_NAME) for line in lines]
    axes.set_yticks([line.height for line in lines], names)
    axes.set_ylim(-0.75, len(lines) - 0.25)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(shown.title, loc="left")
    quiet_grid(axes)


def _say_idle(axes: Axes, line: _Line, unit: int, view: _Window) -> None:
    """An empty row says why it is empty."""
    row = line.row
    period = "" if row.burner else f" (period {as_time(row.period * unit)})"
    middle = (view.start + view.end) / 2 / view.scale
    text = f"nothing of it in this time{period}"
    axes.text(middle, line.height, text, color=QUIET, fontsize=8, ha="center", va="center")


def _job_marks(axes: Axes, panel: Panel, line: _Line, view: _Window) -> bool:
    """Arrivals as arrows, deadlines as open triangles, misses as crosses; whether there are any."""
    row = line.row
    key = (row.server, row.task)
    arrivals = [m.at for m in panel.trace.releases if (m.server, m.task) == key]
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
    late = [at + row.deadline for server, task, at in panel.missed if (server, task) == key]
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
    return bool(came or due)


def _server_marks(axes: Axes, panel: Panel, lines: list[_Line], view: _Window) -> None:
    """Throttled times behind the server's rows, and replenishments under them."""
    name = lines[0].row.server
    trace = panel.trace
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
    replenishments = view.points(m.at for m in trace.replenishments if m.server == name)
    axes.plot(
        replenishments,
        [bottom] * len(replenishments),
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
