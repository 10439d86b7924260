"""Draws the cycles of a TDMA network: a row for each cycle, a colour for each sender."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from k40s.units import NS_PER_MS, NS_PER_US
from workbench.analysis.slot_plan import SlotReport
from workbench.plots.style import COLOURS, INK, QUIET, plain, quiet_grid, save, style

MOST_ROWS = 24
_BAR, _ROW, _AROUND = 0.72, 0.26, 1.5
_HATCHES = ("", "//", "..", "xx", "\\\\")
"""Senders beyond the palette differ by hatching."""
_MOST_NAMES = 24


def draw(report: SlotReport, path: Path) -> None:
    """Write the picture of the first cycles. Raises ``OSError``."""
    cycle = report.table.cycle
    rows = min(report.cycles, MOST_ROWS)
    unit, scale = ("ms", NS_PER_MS) if cycle.period >= 2 * NS_PER_MS else ("µs", NS_PER_US)
    senders = [
        ("Sync", INK, "", cycle.reserved[:1]),
        ("backup Sync", QUIET, "", cycle.reserved[1:]),
    ]
    for number, holder in enumerate(report.holders):
        colour = COLOURS[number % len(COLOURS)]
        hatch = _HATCHES[number // len(COLOURS) % len(_HATCHES)]
        senders.append((holder.name, colour, hatch, holder.windows))
    with style():
        named = [sender for sender in senders if sender[3]][:_MOST_NAMES]
        height = _AROUND + _ROW * rows + 0.22 * (len(named) // 4)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axes = figure.subplots()
        for _, colour, hatch, windows in senders:
            for row in range(rows):
                sent = [w for w in windows if row % w.every == w.phase]
                axes.broken_barh(
                    [(w.offset / scale, w.length / scale) for w in sent],
                    (row - _BAR / 2, _BAR),
                    facecolor=colour,
                    hatch=hatch,
                    edgecolor="white",
                    linewidth=0.4,
                    zorder=3,
                )
        axes.set_xlim(0, cycle.period / scale)
        axes.set_ylim(rows - 0.4, -0.6)
        axes.set_yticks(range(rows), [str(row + 1) for row in range(rows)])
        axes.set_ylabel("cycle")
        axes.set_xlabel(f"time in the cycle [{unit}]; everything repeats after {report.cycles}")
        axes.tick_params(axis="y", length=0)
        quiet_grid(axes)
        patches = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=plain(name, 28))
            for name, colour, hatch, _ in named
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=4)
        save(figure, path)
