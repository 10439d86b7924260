"""Draws supply against demand."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.plots.curves import DemandCurve, Points, SupplyPicture
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
from workbench.table import as_time

_WIDE = 50
"""Times the shortest deadline that the longest may be, to be seen on one even scale."""
_BELOW = 10
"""Where a logarithmic scale begins: at this part of the shortest deadline."""
_MAX_TITLE, _MAX_NAME, _MAX_COLUMN = 80, 32, 46
_AXES, _ENTRY = 3.7, 0.19
"""Inches for the axes, and for each line of the legend."""


def draw(picture: SupplyPicture, path: Path) -> None:
    """Write the picture into a file. Raises ``OSError``."""
    with style():
        labels = [_label(curve) for curve in picture.demands]
        columns = 1 if max(map(len, labels)) > _MAX_COLUMN else 2
        lines = -(-(len(labels) + 1 + bool(picture.other)) // columns)
        figure = Figure(figsize=(7.6, _AXES + _ENTRY * lines), layout="constrained")
        axes = figure.subplots()
        end = picture.supply[-1][0]
        unit, scale = time_unit(end)
        _scales(axes, picture, scale)
        _supplies(axes, picture, scale)
        for curve, label, colour in zip(picture.demands, labels, colours(len(labels)), strict=True):
            _demand(axes, curve, label, colour, scale)
        suffix = "" if axes.get_xscale() == "linear" else ", logarithmic"
        note = f"\n{picture.note}" if picture.note else ""
        axes.set_xlabel(f"length of the interval [{unit}]{suffix}{note}")
        axes.set_ylabel(f"CPU time [{unit}]{suffix}")
        axes.set_title(plain(picture.title, _MAX_TITLE), loc="left")
        quiet_grid(axes)
        figure.legend(loc="outside lower center", ncols=columns)
        save(figure, path)


def _label(curve: DemandCurve) -> str:
    text = f"demand: {plain(curve.label, _MAX_NAME)}"
    if curve.deadline is None:
        return text
    due = as_time(curve.deadline)
    if curve.response is None:
        return f"{text}, not met by {due}"
    return f"{text}, met within {as_time(curve.response)} of {due}"


def _scales(axes: Axes, picture: SupplyPicture, scale: int) -> None:
    """Even scales, or logarithmic ones where an even one would hide the shortest deadline."""
    end = picture.supply[-1][0]
    highest = max(1, *(curve.points[-1][1] for curve in picture.demands))
    deadlines = [curve.deadline for curve in picture.demands if curve.deadline is not None]
    if not deadlines or max(deadlines) < _WIDE * min(deadlines):
        axes.set_xlim(0, end / scale)
        axes.set_ylim(0, 1.1 * highest / scale)
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    lowest = min(curve.points[0][1] for curve in picture.demands)
    axes.set_xlim(min(deadlines) / _BELOW / scale, end / scale)
    axes.set_ylim(max(1, lowest) / 2 / scale, 2 * highest / scale)


def _supplies(axes: Axes, picture: SupplyPicture, scale: int) -> None:
    times, values = _columns(picture.supply, scale)
    axes.plot(times, values, color=INK, linewidth=2.2, label=picture.supply_label)
    axes.fill_between(times, values, color=INK, alpha=0.06, linewidth=0)
    if picture.other:
        times, values = _columns(picture.other, scale)
        axes.plot(
            times,
            values,
            color=QUIET,
            linewidth=1.1,
            linestyle=(0, (4, 2)),
            label=picture.other_label,
        )


def _demand(axes: Axes, curve: DemandCurve, label: str, colour: str, scale: int) -> None:
    """A curve, where it meets the supply, and a line of its colour at its deadline."""
    times, values = _columns(curve.points, scale)
    axes.step(times, values, where="post", color=colour, linewidth=1.6, label=label)
    if curve.response is not None:
        axes.plot(
            [curve.response / scale],
            [curve.demand_then / scale],
            marker="o",
            markersize=6.5,
            color=colour,
            markeredgecolor="white",
            zorder=5,
        )
    if curve.deadline is None:
        return
    late = curve.response is None
    axes.axvline(curve.deadline / scale, color=colour, linewidth=1.1, linestyle=":", zorder=1)
    axes.plot(
        [curve.deadline / scale],
        [1],
        transform=axes.get_xaxis_transform(),
        marker="X" if late else "v",
        markersize=8 if late else 6,
        color=ALARM if late else colour,
        markeredgecolor="white",
        clip_on=False,
        zorder=6,
    )


def _columns(points: Points, scale: int) -> tuple[list[float], list[float]]:
    return [t / scale for t, _ in points], [value / scale for _, value in points]
