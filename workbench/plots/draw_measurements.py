"""Draws boxes by group, and traces over shaded time."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.plots.measurements import Box, BoxPanel, BoxPicture, TracePicture
from workbench.plots.style import ALARM, COLOURS, INK, QUIET, save, style

_SHADE = "#F3E3D3"
_PANEL, _ROW, _TRACE = 3.1, 2.3, 1.25
"""Inches: a panel's width, a row of boxes, a trace."""


def draw_boxes(picture: BoxPicture, path: Path) -> None:
    """Write the picture into a file. Raises ``OSError``."""
    with style():
        columns = len(picture.upper)
        figure = Figure(figsize=(1.0 + _PANEL * columns, 2 * _ROW + 0.9), layout="constrained")
        grid = figure.subplots(2, columns, sharey="row", sharex="col", squeeze=False)
        for column, (upper, lower) in enumerate(zip(picture.upper, picture.lower, strict=True)):
            _panel(grid[0, column], upper)
            _panel(grid[1, column], lower)
            grid[0, column].set_title(upper.title, loc="left")
            grid[0, column].set_yscale("log")
            grid[0, column].minorticks_off()
            grid[1, column].axhline(0, color=ALARM, linewidth=0.8, linestyle=":")
            grid[1, column].tick_params(axis="x", rotation=90)
        grid[0, 0].set_ylabel(picture.upper_label)
        grid[1, 0].set_ylabel(picture.lower_label)
        figure.suptitle(picture.title, x=0.01, ha="left", fontsize=10.5)
        save(figure, path)


def draw_traces(picture: TracePicture, path: Path) -> None:
    """Write the picture into a file. Raises ``OSError``."""
    with style():
        count = len(picture.traces)
        figure = Figure(figsize=(9.6, 0.9 + _TRACE * count), layout="constrained")
        grid = figure.subplots(count, 1, sharex=True, squeeze=False)
        for number, trace in enumerate(picture.traces):
            axes = grid[number, 0]
            for shade in picture.shades:
                axes.axvspan(shade.start, shade.end, color=_SHADE, linewidth=0, zorder=0)
            axes.plot(
                trace.times, trace.values, color=COLOURS[number % len(COLOURS)], linewidth=0.9
            )
            if trace.level is not None:
                axes.axhline(trace.level, color=ALARM, linewidth=0.9, linestyle=(0, (4, 2)))
            if trace.logarithmic:
                axes.set_yscale("log")
                axes.minorticks_off()
            axes.set_title(trace.label, loc="left", fontsize=9, pad=2)
        top = grid[0, 0]
        for shade in picture.shades:
            top.text(
                (shade.start + shade.end) / 2,
                1.22,
                shade.label,
                transform=top.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=8,
                color=INK,
            )
        grid[-1, 0].set_xlabel("time [s]")
        figure.suptitle(picture.title, x=0.01, ha="left", fontsize=10.5)
        save(figure, path)


def _panel(axes: Axes, panel: BoxPanel) -> None:
    axes.bxp(
        [_statistics(box) for box in panel.boxes],
        showfliers=False,
        patch_artist=True,
        widths=0.6,
        boxprops={"facecolor": COLOURS[4], "edgecolor": INK, "linewidth": 0.7},
        medianprops={"color": INK, "linewidth": 1.3},
        whiskerprops={"color": INK, "linewidth": 0.7},
        capprops={"color": INK, "linewidth": 0.7},
    )
    axes.grid(visible=True, axis="y", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_color(QUIET)


def _statistics(box: Box) -> dict[str, Any]:
    """A box in the form that matplotlib's bxp takes."""
    return {
        "label": box.label,
        "whislo": box.p1,
        "q1": box.p25,
        "med": box.median,
        "q3": box.p75,
        "whishi": box.p99,
    }
