"""Draws the cores of a live node: a bar for each, a colour and a hatch for each pod."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from workbench.plots.cores import CoreBar, CoresPicture
from workbench.plots.style import ALARM, COLOURS, INK, QUIET, plain, quiet_grid, save, style

_BAR, _ROW, _AROUND = 0.66, 0.36, 1.6
_HATCHES = ("", "//", "..", "xx", "\\\\")
"""Pods beyond the palette differ by hatching."""
_MOST_NAMES = 24
_LABELLED = 0.08
"""Share of the axis from which a server has room for its pod's name."""
_FREE = "#F1F1F1"


def draw(picture: CoresPicture, path: Path) -> None:
    """Write the picture. Raises ``OSError``."""
    looks = {
        owner: (COLOURS[n % len(COLOURS)], _HATCHES[n // len(COLOURS) % len(_HATCHES)])
        for n, owner in enumerate(picture.owners)
    }
    named = list(looks.items())[:_MOST_NAMES]
    rows = max(len(picture.bars), 1)
    with style():
        height = _AROUND + _ROW * rows + 0.22 * (len(named) // 4)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axes = figure.subplots()
        longest = max((_end(one) for one in picture.bars), default=1.0)
        for row, one in enumerate(picture.bars):
            _draw_bar(axes, one, row, looks, longest)
        axes.set_xlim(0, longest * 1.02)
        axes.set_ylim(rows - 0.4, -0.6)
        axes.set_yticks(range(len(picture.bars)), [f"core {one.core}" for one in picture.bars])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share of a core that is reserved; the line is what may be")
        axes.set_title(plain(picture.title, 90), loc="left")
        if picture.note:
            axes.text(0, rows - 0.45, picture.note, color=QUIET, fontsize=8)
        quiet_grid(axes)
        patches = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=plain(owner, 34))
            for owner, (colour, hatch) in named
        ]
        patches.append(Patch(facecolor=_FREE, edgecolor=QUIET, label="free"))
        figure.legend(handles=patches, loc="outside lower center", ncols=4)
        save(figure, path)


def _end(bar: CoreBar) -> float:
    used = sum(one.share for one in bar.segments)
    return max(bar.capacity, used, 1e-9)


def _draw_bar(
    axes: Axes, bar: CoreBar, row: int, looks: dict[str, tuple[str, str]], longest: float
) -> None:
    axes.broken_barh(
        [(0, bar.capacity)],
        (row - _BAR / 2, _BAR),
        facecolor=_FREE,
        edgecolor=QUIET,
        linewidth=0.5,
        zorder=2,
    )
    for one in bar.segments:
        colour, hatch = looks[one.owner]
        axes.broken_barh(
            [(one.start, one.share)],
            (row - _BAR / 2, _BAR),
            facecolor=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.6,
            zorder=3,
        )
        if one.share >= _LABELLED * longest:
            text = f"{one.label} {one.criticality}".strip()
            axes.text(
                one.start + one.share / 2,
                row,
                plain(text, max(4, int(110 * one.share / longest))),
                ha="center",
                va="center",
                color="white" if not hatch else INK,
                fontsize=7.5,
                zorder=4,
            )
    axes.plot([bar.capacity] * 2, [row - 0.45, row + 0.45], color=ALARM, linewidth=1.4, zorder=5)
