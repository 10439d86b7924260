"""The table of pods: those that do not run first."""

from collections.abc import Iterable, Mapping, Sequence

from k40s.overview.model import Overview, PodRow, ServerRow
from workbench.cluster_tables import cells
from workbench.table import format_table

PlacedServers = Mapping[str, Sequence[tuple[str, ServerRow]]]
"""By the pod's UID, its servers with the names of their cores."""

_HEAD = ("NAME", "CRIT", "NODE", "STATE", "CORE", "BUDGET/PERIOD", "ENFORCED", "WHY")
_WIDE = ("TASKS", "SINCE", "UID")
_ORDER = ("refused", "claiming", "throttled", "moving", "waiting", "running", "ended")


def pods_table(
    overview: Overview, servers: PlacedServers, *, namespaces: bool = True, wide: bool = False
) -> str:
    """One line for each pod; ``namespaces`` adds the namespace's column."""
    if not overview.pods:
        return "No pods found that ask anything of k40s."
    head = (*(("NAMESPACE",) if namespaces else ()), *_HEAD[:-1])
    rows = []
    for one in sort_pods(overview.pods):
        why = one.why or one.enforced_why
        rows.append(
            [
                *((one.namespace,) if namespaces else ()),
                *_cells(one, servers.get(one.uid, ())),
                *(_wide_cells(one, overview.at) if wide else ()),
                (why if wide else cells.shortened(why)) or cells.NONE,
            ]
        )
    return format_table((*head, *(_WIDE if wide else ()), _HEAD[-1]), rows)


def sort_pods(rows: Iterable[PodRow]) -> list[PodRow]:
    """By state, trouble first, and then by name."""
    return sorted(
        rows,
        key=lambda one: (
            _ORDER.index(one.state) if one.state in _ORDER else 0,
            one.enforced is not False,
            one.namespace,
            cells.natural(one.name),
        ),
    )


def servers_of(overview: Overview) -> dict[str, list[tuple[str, ServerRow]]]:
    """The servers on the nodes' cores, by the UIDs of their pods."""
    found: dict[str, list[tuple[str, ServerRow]]] = {}
    for row in overview.nodes:
        for core in row.cores:
            for server in core.servers:
                found.setdefault(server.pod_uid, []).append((core.core, server))
    return found


def _cells(row: PodRow, servers: Sequence[tuple[str, ServerRow]]) -> tuple[str, ...]:
    budgets = [f"{cells.in_time(one.budget)}/{cells.in_time(one.period)}" for _, one in servers]
    return (
        row.name,
        row.criticality or "?",
        row.node or cells.NONE,
        row.state,
        ",".join(core for core, _ in servers) or cells.NONE,
        ",".join(budgets) or cells.NONE,
        cells.enforced(row),
    )


def _wide_cells(row: PodRow, at: str) -> tuple[str, ...]:
    return str(row.tasks), cells.age(row.since, at), row.uid
