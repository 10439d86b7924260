"""Pictures, with matplotlib from the optional extra ``plot``; it is imported when one is drawn."""

from importlib.util import find_spec
from pathlib import Path

from k40s.errors import K40sError
from k40s.overview.model import NodeRow
from workbench.analysis.slot_plan import SlotReport
from workbench.plots.cores import cores_picture
from workbench.plots.curves import SupplyPicture
from workbench.plots.measurements import BoxPicture, TracePicture
from workbench.simulation.run import SimulationReport

SUFFIXES = (".png", ".svg")
_NEEDED = "pictures need matplotlib: pip install 'k40s[plot]'"


class PlotError(K40sError):
    """A picture cannot be drawn: the extra is missing, or the file's name says no known format."""


def check_path(path: Path) -> None:
    """Raise ``PlotError`` for a file's name that ends in neither ``.png`` nor ``.svg``."""
    if path.suffix.lower() not in SUFFIXES:
        raise PlotError(f"{path}: a picture's name ends in .png or .svg")
    if not path.parent.is_dir():
        raise PlotError(f"{path}: no directory {path.parent} to draw into")


def plot_supply(picture: SupplyPicture, path: Path) -> None:
    """Draw supply against demand into a file. Raises ``PlotError`` and ``OSError``."""
    check_path(path)
    try:
        # matplotlib is an optional extra
        from workbench.plots.draw_supply import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw(picture, path)


def plot_gantt(report: SimulationReport, path: Path, *, window: int | None) -> None:
    """Draw a Gantt chart of ``window`` ns (None chooses). Raises ``PlotError``, ``OSError``."""
    check_path(path)
    try:
        # the same
        from workbench.plots.draw_gantt import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw(report, path, window=window)


def plot_slots(report: SlotReport, path: Path) -> None:
    """Draw the cycles of a TDMA network. Raises ``PlotError`` and ``OSError``."""
    check_path(path)
    try:
        # the same
        from workbench.plots.draw_slots import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw(report, path)


def plot_cores(row: NodeRow, path: Path, *, at: str) -> None:
    """Draw the cores of a live node. Raises ``PlotError`` and ``OSError``."""
    check_path(path)
    try:
        # the same
        from workbench.plots.draw_cores import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw(cores_picture(row, at=at), path)


def plot_boxes(picture: BoxPicture, path: Path) -> None:
    """Draw boxes into a file. Raises ``PlotError`` and ``OSError``."""
    check_path(path)
    try:
        # the same
        from workbench.plots.draw_measurements import draw_boxes  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw_boxes(picture, path)


def plot_traces(picture: TracePicture, path: Path) -> None:
    """Draw traces into a file. Raises ``PlotError`` and ``OSError``."""
    check_path(path)
    try:
        # the same
        from workbench.plots.draw_measurements import draw_traces  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    draw_traces(picture, path)


def check_drawable() -> None:
    """Raise ``PlotError`` where no picture can be drawn, before a long measurement."""
    if find_spec("matplotlib") is None:
        raise PlotError(_NEEDED)


def _explained(error: ModuleNotFoundError) -> Exception:
    if (error.name or "").partition(".")[0] != "matplotlib":
        return error
    return PlotError(_NEEDED)
