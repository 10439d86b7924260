"""Plot style: a colour-blind-safe palette, fonts, and reproducible files.

The only module that sets anything in matplotlib, and only while a picture is saved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#332288")
"""Okabe & Ito's palette, without its red, which is the alarm, and with indigo for its yellow."""
ALARM = "#D55E00"
INK = "#222222"
QUIET = "#8A8A8A"


@contextmanager
def style() -> Iterator[None]:
    """The style, in force inside the block."""
    with mpl.rc_context(
        {
            "svg.hashsalt": "k40s",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9.5,
            "axes.edgecolor": QUIET,
            "axes.labelcolor": INK,
            "axes.titlesize": 10.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "legend.fontsize": 8.5,
        }
    ):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write the picture; the same picture gives the same bytes. Raises ``OSError``."""
    if path.suffix.lower() == ".svg":
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    else:
        figure.savefig(path, format="png", dpi=150, metadata={"Software": None})


def colours(count: int) -> list[str]:
    """``count`` colours; they repeat after six."""
    return list(islice(cycle(COLOURS), count))


def time_unit(length: int) -> tuple[str, int]:
    """The unit in which a length of time reads well, and its ns."""
    if length >= 20 * NS_PER_S:
        return "s", NS_PER_S
    if length >= 2 * NS_PER_MS:
        return "ms", NS_PER_MS
    return "µs", NS_PER_US


def plain(text: str, longest: int) -> str:
    """A text that is drawn as it is, no formula in it, with its middle left out if too long."""
    if len(text) > longest:
        head = (longest - 1) // 2
        text = f"{text[:head]}…{text[head + 1 - longest :]}"
    return text.replace("$", r"\$")


def quiet_grid(axes: Axes) -> None:
    """Vertical help lines behind everything."""
    axes.grid(visible=True, axis="x", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    if axes.get_xscale() == "linear":
        axes.ticklabel_format(axis="x", style="plain", useOffset=False)
