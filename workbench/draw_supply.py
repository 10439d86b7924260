"""Draws supply against demand."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.curves import DemandCurve, Points, SupplyPicture
from workbench.paper import ALARM, INK, QUIET, colours, quiet_grid, save, style, time_unit


def draw(picture: SupplyPicture, path: Path) -> None:
    """Write the picture into a file. Raises ``OSError``."""
    with style():
        figure = Figure(figsize=(7.6, 4.3), layout="constrained")
        axes = figure.subplots()
        end = picture.supply[-1][0]
        unit, scale = time_unit(end)
        _supplies(axes, picture, scale)
        highest = max(curve.points[-1][1] for curve in picture.demands)
        for curve, colour in zip(picture.demands, colours(len(picture.demands)), strict=True):
            _demand(axes, curve, colour, (unit, scale))
        _deadlines(axes, picture, scale)
        axes.set_xlim(0, end / scale)
        # Room for the names of deadlines, which hang from the top.
        room = 1.5 if picture.demands[0].deadline is not None else 1.1
        axes.set_ylim(0, room * max(highest, 1) / scale)
        axes.set_xlabel(f"length of the interval [{unit}]")
        axes.set_ylabel(f"CPU time [{unit}]")
        axes.set_title(picture.title, loc="left")
        quiet_grid(axes)
        figure.legend(loc="outside lower center", ncols=2)
        save(figure, path)


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


def _demand(axes: Axes, curve: DemandCurve, colour: str, axis: tuple[str, int]) -> None:
    unit, scale = axis
    times, values = _columns(curve.points, scale)
    label = f"demand: {curve.label}"
    if curve.response is not None:
        label += f", met within {curve.response / scale:.4g} {unit}"
    elif curve.deadline is not None:
        label += ", not met in time"
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


def _deadlines(axes: Axes, picture: SupplyPicture, scale: int) -> None:
    """A line at each deadline, with the names of all tasks that have it."""
    named: dict[int, list[str]] = {}
    for curve in picture.demands:
        if curve.deadline is not None:
            named.setdefault(curve.deadline, []).append(curve.label)
    late = {curve.deadline for curve in picture.demands if curve.response is None}
    for deadline, names in named.items():
        colour = ALARM if deadline in late else QUIET
        axes.axvline(deadline / scale, color=colour, linewidth=1.1, linestyle=":")
        axes.annotate(
            f"deadline of {', '.join(names)}",
            xy=(deadline / scale, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -4),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=8,
            color=INK,
        )


def _columns(points: Points, scale: int) -> tuple[list[float], list[float]]:
    return [t / scale for t, _ in points], [value / scale for _, value in points]
