"""The table of nodes: those with trouble first."""

from collections import Counter
from collections.abc import Iterable

from k40s.overview.model import NodeRow, Overview
from k40s.reasons import Reason
from workbench.cluster_tables import cells
from workbench.table import format_table

_HEAD = ("NODE", "READY", "LEVEL", "CORES", "PODS", "HAZARDS", "SUSPECT", "DAEMONS")
_WIDE = ("PLATFORM", "PER-CORE", "NOT-USABLE")


def nodes_table(overview: Overview, *, wide: bool = False, pods_known: bool = True) -> str:
    """One line for each node. ``pods_known``: the overview has all pods, so they can be counted."""
    if not overview.nodes:
        return "No nodes found."
    counts = Counter(one.node for one in overview.pods if one.state != "ended")
    rows = []
    for one in sort_nodes(overview.nodes):
        pods = str(counts[one.name]) if pods_known else cells.NONE
        rows.append([*_cells(one, pods), *(_wide_cells(one) if wide else ())])
    return format_table((*_HEAD, *(_WIDE if wide else ())), rows)


def sort_nodes(rows: Iterable[NodeRow]) -> list[NodeRow]:
    """Trouble first, then by name."""
    return sorted(rows, key=lambda one: (-trouble(one), cells.natural(one.name)))


def trouble(row: NodeRow) -> int:
    """How much of a node is not as it should be; a node without real time is none."""
    refusals = [one for one in (row.assurance_refusal, row.cpu_refusal) if one]
    return sum(
        (
            4 * (not row.ready),
            3 * any(one.silent is not None for one in row.daemons),
            2 * bool(row.suspects or row.hazards or row.reduced),
            any(one != Reason.CPU_NO_REAL_TIME for one in refusals),
        )
    )


def _cells(row: NodeRow, pods: str) -> tuple[str, ...]:
    return (
        row.name,
        cells.yes(row.ready),
        cells.level(row),
        _cores(row),
        pods,
        ",".join(row.hazards) or cells.NONE,
        cells.suspects(row.suspects),
        cells.daemons(row.daemons),
    )


def _cores(row: NodeRow) -> str:
    if not row.cores:
        return cells.NONE
    used, capacity = cells.load(row)
    return f"{cells.bar(used, capacity)} {used:.2f}/{capacity:.2f}"


def _wide_cells(row: NodeRow) -> tuple[str, ...]:
    per_core = " ".join(
        f"{one.core}:{100 * cells.used_share(one) / one.capacity:.0f}%"
        for one in row.cores
        if one.capacity
    )
    refusals = ",".join(one for one in (row.assurance_refusal, row.cpu_refusal) if one)
    return row.platform or cells.NONE, per_core or cells.NONE, refusals or cells.NONE
