"""A node's published CPU state and the grants of its pods -> cores with their servers. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from k40s.annotations import UID_LENGTH, CpuState
from k40s.cpu.model import ANY_CORE, Domain, Reservation
from k40s.node_api.allocation import core_name
from k40s.overview.model import CoreRow, ServerRow
from k40s.units import NS_PER_US

_LEAST_SHARE = 2e-6
"""Published utilizations are rounded down to millionths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a pod that has not ended holds on its node, by its own annotation: core and server."""

    uid: str
    servers: tuple[tuple[int, ServerRow], ...]


def read_grant(held: Iterable[Reservation], *, uid: str, namespace: str, pod: str) -> Grant:
    """The grant of a pod with these reservations."""
    rows = tuple((one.core, _row(one, uid=uid, namespace=namespace, pod=pod)) for one in held)
    return Grant(uid=uid, servers=rows)


def nameless(share: float) -> ServerRow:
    """A server, or several together, of which only the share is known or may be told."""
    return ServerRow(
        pod_uid="",
        namespace="",
        pod="",
        container="",
        criticality="",
        mechanism="",
        budget=0.0,
        period=0.0,
        share=share,
    )


def core_rows(state: CpuState, grants: Sequence[Grant]) -> tuple[CoreRow, ...]:
    """The cores in the node's order, most loaded servers first.

    Where the state has all reservations, they are the truth, and grants give them their names.
    Where it has utilizations alone, servers are those of the grants, and what else is reserved is
    one nameless server.
    """
    servers: dict[int, list[ServerRow]] = {core: [] for core in state.utilization}
    found = _published(state, grants) if state.complete else _granted(grants)
    for core, row in found:
        servers.setdefault(core, []).append(row)
    if not state.complete:
        for core, rows in servers.items():
            known = sum(row.share for row in rows)
            rest = float(state.utilization.get(core, 0)) - known
            if rest > _LEAST_SHARE:
                rows.append(nameless(rest))
    return tuple(
        CoreRow(
            core=str(core_name(core)),
            capacity=_capacity(state, core),
            servers=tuple(sorted(rows, key=lambda row: (-row.share, row.pod_uid, row.container))),
        )
        for core, rows in sorted(servers.items(), key=lambda pair: (pair[0] == ANY_CORE, pair[0]))
    )


def _published(state: CpuState, grants: Sequence[Grant]) -> Iterable[tuple[int, ServerRow]]:
    """The rows of a complete state; a pod's own grant has the names that rows lack."""
    by_prefix: dict[str, list[Grant]] = {}
    for one in grants:
        by_prefix.setdefault(one.uid[:UID_LENGTH], []).append(one)
    unnamed = set(by_prefix)
    for held in state.node.reservations:
        if held.pod_uid not in by_prefix:
            yield held.core, _row(held, uid=held.pod_uid)
        elif held.pod_uid in unnamed:
            unnamed.remove(held.pod_uid)
            yield from _granted(by_prefix[held.pod_uid])


def _granted(grants: Iterable[Grant]) -> Iterable[tuple[int, ServerRow]]:
    for grant in grants:
        yield from grant.servers


def _row(held: Reservation, *, uid: str, namespace: str = "", pod: str = "") -> ServerRow:
    budget, period = held.server.budget, held.server.period
    return ServerRow(
        pod_uid=uid,
        namespace=namespace,
        pod=pod,
        container=held.container if pod else "",
        criticality=held.criticality.name,
        mechanism=held.mechanism.value,
        budget=budget / NS_PER_US,
        period=period / NS_PER_US,
        share=budget / period,
    )


def _capacity(state: CpuState, core: int) -> float:
    """Of one core what ΣQ/P may reach; of a shared root domain, of all its CPUs together."""
    offer = state.node.deadline
    if core == ANY_CORE and offer is not None and offer.domain is Domain.SHARED:
        return float(offer.capacity * offer.cpus)
    return float(state.node.core_capacity)
