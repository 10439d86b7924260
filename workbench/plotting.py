"""Pictures, with matplotlib from the optional extra ``plot``; it is imported when one is drawn."""

from pathlib import Path

from k40s.errors import K40sError
from workbench.curves import SupplyPicture
from workbench.simulating import SimulationReport

SUFFIXES = (".png", ".svg")


class PlotError(K40sError):
    """A picture cannot be drawn: the extra is missing, or the file's name says no known format."""


def check_path(path: Path) -> None:
    """Raise ``PlotError`` for a file's name that ends in neither ``.png`` nor ``.svg``."""
    if path.suffix.lower() not in SUFFIXES:
        raise PlotError(f"{path}: a picture's name ends in .png or .svg")


def plot_supply(picture: SupplyPicture, path: Path) -> None:
    """Draw supply against demand into a file. Raises ``PlotError`` and ``OSError``."""
    check_path(path)
    try:
        # matplotlib is an optional extra
        from workbench.draw_supply import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw(picture, path)


def plot_gantt(report: SimulationReport, path: Path, *, window: int | None) -> None:
    """Draw what ran when, for ``window`` ns (None chooses). Raises ``PlotError``, ``OSError``."""
    check_path(path)
    try:
        # the same
        from workbench.draw_gantt import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw(report, path, window=window)


def _explained(error: ModuleNotFoundError) -> Exception:
    if (error.name or "").partition(".")[0] != "matplotlib":
        return error
    return PlotError("pictures need matplotlib: pip install 'k40s[plot]'")
