"""Selects what a Gantt chart shows: time window, panels and rows, and a note on the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.simulation.gantt_rows import Panel, Row
from workbench.simulation.run import SimulationReport
from workbench.table import as_time

MAX_ROWS = 40
"""Rows of one panel."""
MAX_ALL_ROWS = 120
"""Rows of a chart: what a picture can hold."""
_LONGEST, _SHORTEST = 2, 12
"""A chart is as long as so many of the longest periods, or so many of the shortest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPanel:
    """A panel with its drawn rows, from the top; the title says what is left out."""

    panel: Panel
    rows: tuple[Row, ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """From ``start`` to ``end``, in ns. ``note``: what else is left out, or ""."""

    start: int
    end: int
    panels: tuple[DrawnPanel, ...]
    note: str


def chart_of(report: SimulationReport, window: int | None) -> Chart:
    """The chart of a simulation, over ``window`` ns; None chooses."""
    start, end = chosen_window(report, window)
    shown: list[DrawnPanel] = []
    left = MAX_ALL_ROWS
    # Stable: panels in which a deadline was missed come first where there is no room for all.
    order = sorted(report.panels, key=lambda panel: not panel.missed)
    for panel in order:
        rows = _rows(panel, min(MAX_ROWS, left))
        left -= len(rows)
        if rows:
            shown.append(DrawnPanel(panel=panel, rows=rows, title=_title(panel, rows, end)))
    shown.sort(key=lambda one: report.panels.index(one.panel))
    missing = len(report.panels) - len(shown)
    note = f"{missing} of {len(report.panels)} cores are not drawn" if missing else ""
    return Chart(start=start, end=end, panels=tuple(shown), note=note)


def chosen_window(report: SimulationReport, window: int | None) -> tuple[int, int]:
    """The time window in ns: around the first miss, else so that most tasks arrive in it.

    Without ``window`` it is as long as two of the longest periods, but no longer than twelve of the
    shortest, so that bars stay visible.
    """
    periods = [
        row.period * panel.unit for panel in report.panels for row in panel.rows if not row.burner
    ]
    if window is not None:
        length = window
    elif periods:
        length = min(_LONGEST * max(periods), _SHORTEST * min(periods))
    else:
        length = report.duration
    misses = [at * panel.unit for panel in report.panels for _, _, at in panel.missed]
    start = min(misses) - length // 4 if misses else _start(report.panels, length)
    start = max(0, min(start, report.duration - length))
    return start, min(start + length, report.duration)


def _start(panels: Sequence[Panel], length: int) -> int:
    """0, or shortly before the task that arrives last of all does so first."""
    latest = 0
    for panel in panels:
        first: dict[tuple[str, str], int] = {}
        for mark in panel.trace.releases:
            first.setdefault((mark.server, mark.task), mark.at * panel.unit)
        own = {(row.server, row.task) for row in panel.rows if not row.burner}
        latest = max([latest, *(at for key, at in first.items() if key in own)])
    return 0 if latest < length * 3 // 4 else latest - length // 4


def _rows(panel: Panel, most: int) -> tuple[Row, ...]:
    """The most urgent rows, after those of tasks that missed a deadline, in the panel's order."""
    late = {(server, task) for server, task, _ in panel.missed}
    order = sorted(
        range(len(panel.rows)),
        key=lambda index: (panel.rows[index].server, panel.rows[index].task) not in late,
    )
    return tuple(panel.rows[index] for index in sorted(order[:most]))


def _title(panel: Panel, rows: Sequence[Row], end: int) -> str:
    words = [panel.title]
    if len(rows) < len(panel.rows):
        words.append(
            f"{len(rows)} of {len(panel.rows)} tasks are drawn, the most urgent and late ones"
        )
    cut = panel.trace.cut_at
    if cut is not None and cut * panel.unit < end:
        words.append(f"recorded up to {as_time(cut * panel.unit)}")
    return ", ".join(words)
