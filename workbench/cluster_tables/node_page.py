"""One node in full: its cores with their servers, its pods, and what happened there."""

from collections.abc import Iterator

from k40s.overview.model import CoreRow, Happening, NodeRow, Overview, ServerRow
from workbench.cluster_tables import cells
from workbench.cluster_tables.pods import pods_table, servers_of
from workbench.printable import in_line
from workbench.table import format_table

_LATEST = 10
_CORES = ("CORE", "USED", "FREE", "CAPACITY", "")
_SERVERS = ("CORE", "NAMESPACE", "POD", "CONTAINER", "CRIT", "BY", "BUDGET", "PERIOD", "SHARE")
_HAPPENINGS = ("AGO", "KIND", "POD", "TEXT")


def node_page(overview: Overview, row: NodeRow) -> str:
    """The page of one of the overview's nodes, without a trailing line break."""
    return "\n\n".join(_sections(overview, row))


def on_node(overview: Overview, name: str) -> Overview:
    """The overview's pods and happenings that are of one node, with that node alone."""
    return Overview(
        at=overview.at,
        nodes=tuple(one for one in overview.nodes if one.name == name),
        pods=tuple(one for one in overview.pods if one.node == name),
        networks=tuple(one for one in overview.networks if name in one.nodes),
        happenings=tuple(one for one in overview.happenings if one.node == name),
        unreadable=overview.unreadable,
    )


def _sections(overview: Overview, row: NodeRow) -> Iterator[str]:
    here = on_node(overview, row.name)
    yield "\n".join(in_line(f"{name:<11}{text}") for name, text in _facts(row))
    if row.cores:
        yield format_table(_CORES, [_core_cells(one) for one in row.cores])
        servers = [(core, one) for core in row.cores for one in core.servers]
        if servers:
            yield format_table(_SERVERS, [_server_cells(core, one) for core, one in servers])
    if here.pods:
        yield pods_table(here, servers_of(here))
    latest = here.happenings[-_LATEST:][::-1]
    if latest:
        yield format_table(_HAPPENINGS, [_happening_cells(one, overview.at) for one in latest])


def _facts(row: NodeRow) -> Iterator[tuple[str, str]]:
    yield "NODE", row.name
    yield "READY", cells.yes(row.ready)
    yield "LEVEL", _level(row)
    yield "REAL TIME", row.cpu_refusal or "yes"
    yield "PLATFORM", row.platform or cells.NONE
    yield "DAEMONS", cells.daemons(row.daemons)
    yield "HAZARDS", ", ".join(row.hazards) or cells.NONE
    for one in row.suspects:
        yield "SUSPECT", f"{cells.suspects([one])}: {one.evidence}"


def _level(row: NodeRow) -> str:
    """The level and its parts, or why there is none."""
    if row.level is None or row.hardware is None or row.software is None:
        return f"{cells.NONE} ({row.assurance_refusal})"
    state = row.level - row.hardware - row.software
    parts = f"hardware {row.hardware}, software {row.software}, state {state}"
    return f"{cells.level(row)} of 20: {parts}"


def _core_cells(core: CoreRow) -> tuple[str, ...]:
    used = cells.used_share(core)
    free = max(0.0, core.capacity - used)
    return (
        core.core,
        f"{used:.3f}",
        f"{free:.3f}",
        f"{core.capacity:.3f}",
        cells.bar(used, core.capacity, width=30),
    )


def _server_cells(core: CoreRow, one: ServerRow) -> tuple[str, ...]:
    return (
        core.core,
        one.namespace or cells.NONE,
        one.pod or (f"{one.pod_uid}…" if one.pod_uid else "others"),
        one.container or cells.NONE,
        one.criticality or cells.NONE,
        one.mechanism or cells.NONE,
        cells.in_time(one.budget),
        cells.in_time(one.period),
        f"{one.share:.3f}",
    )


def _happening_cells(one: Happening, at: str) -> tuple[str, ...]:
    pod = f"{one.namespace}/{one.pod}" if one.pod else one.namespace
    return cells.age(one.at, at), one.kind, pod or cells.NONE, cells.shortened(one.text)
