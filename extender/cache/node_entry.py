"""Node record -> published state -> ``NodeView`` at an instant, with the reasons of refusal. Pure.

An annotation is parsed once, when it changes. A view is computed again when a daemon becomes stale
or renews its Lease; it keeps the parsed values, so that cached verdicts, which compare them by
identity, stay valid.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from extender.cache.snapshot import NodeView
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    HIGHEST_STATE,
    NETWORK_STATE_KEY,
    NO_MECHANISM,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    CpuState,
    NetworkNodeState,
    NodeAssurance,
    parse_cpu_state,
    parse_network_state,
    parse_node_assurance,
    parse_platform_factor,
)
from k40s.errors import InvalidAnnotationError
from k40s.kube.records import NodeRecord
from k40s.node_agent.leases import malacoda_lease, rubicante_lease, scarmiglione_lease
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds

_UNKNOWN_LEASE = Nanoseconds(60 * NS_PER_S)
"""Lease duration assumed where the published state is missing or invalid."""

T = TypeVar("T")
Expiry = Callable[[str, Nanoseconds], int | None]
"""(lease name, lease) -> when its holder becomes stale, None if it has never renewed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Generic[T]):
    """An annotation: its text, and its value or (if the text is invalid) the fault."""

    text: str | None
    value: T | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """The labels and annotations of a Node that are k40s's.

    ``platform`` is the operator's label and factor; the factor is None where it is invalid.
    """

    name: str
    real_time: bool
    classed: bool
    """Whether it has the assurance class label."""
    platform: tuple[str, Fraction | None]
    assurance: Published[NodeAssurance]
    cpu: Published[CpuState]
    stations: Published[NetworkNodeState]

    @property
    def faults(self) -> tuple[str, ...]:
        """Why annotations could not be read."""
        published = (self.assurance, self.cpu, self.stations)
        return tuple(one.fault for one in published if one.fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleLabel:
    """A label on a Node whose daemon is stale, and that daemon's Lease with its duration."""

    node: str
    key: str
    lease_name: str
    lease: Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A node as it was last heard of, usable or not, with the age of its daemons' renewals in ns.

    An age is None where that daemon has never renewed its Lease.
    """

    entry: NodeEntry
    malacoda: int | None
    rubicante: int | None
    scarmiglione: int | None


def hear(entry: NodeEntry, *, now: int, seen: Callable[[str], int | None]) -> Heard:
    """What was heard of a node; ``seen`` is when the Lease of that name was renewed."""

    def age(lease: str) -> int | None:
        at = seen(lease)
        return None if at is None else max(now - at, 0)

    return Heard(
        entry=entry,
        malacoda=age(malacoda_lease(entry.name)),
        rubicante=age(rubicante_lease(entry.name)),
        scarmiglione=age(scarmiglione_lease(entry.name)),
    )


def read_entry(record: NodeRecord, former: NodeEntry | None) -> NodeEntry:
    """Parses what has changed since ``former``."""
    return NodeEntry(
        name=record.name,
        real_time=record.labels.get(REAL_TIME_LABEL) == "true",
        classed=ASSURANCE_CLASS_LABEL in record.labels,
        platform=_read_platform(record),
        assurance=_read(
            record.annotations.get(ASSURANCE_KEY),
            former.assurance if former else None,
            parse_node_assurance,
        ),
        cpu=_read(
            record.annotations.get(CPU_STATE_KEY), former.cpu if former else None, parse_cpu_state
        ),
        stations=_read(
            record.annotations.get(NETWORK_STATE_KEY),
            former.stations if former else None,
            parse_network_state,
        ),
    )


def view_entry(entry: NodeEntry, *, now: int, expiry: Expiry) -> tuple[NodeView, int | None]:
    """The view at an instant, and when a missing renewal will next change it, if ever."""
    expiries: list[int] = []
    assurance = _assurance_refusal(entry, now=now, expiry=expiry, expiries=expiries)
    refusal = _cpu_refusal(entry, now=now, expiry=expiry, expiries=expiries)
    silent = _station_refusal(entry, now=now, expiry=expiry, expiries=expiries)
    usable = None if assurance else entry.assurance.value
    cpu = None if refusal else entry.cpu.value
    view = NodeView(
        name=entry.name,
        real_time=entry.real_time,
        level=usable.level if usable else 0,
        reduced=HIGHEST_STATE - usable.state if usable else 0,
        hazards=usable.hazards if usable else (),
        assurance=assurance,
        cpu=cpu,
        cpu_refusal=refusal,
        holders=holders_of(cpu),
        stations=None if silent else entry.stations.value,
        station_refusal=silent,
    )
    return view, min(expiries, default=None)


def stale_labels(entry: NodeEntry, *, now: int, expiry: Expiry) -> tuple[StaleLabel, ...]:
    """The labels of a node whose daemon's Lease has expired or is missing."""
    assurance, cpu = entry.assurance.value, entry.cpu.value
    found = []
    for present, key, lease_name, lease in (
        (
            entry.classed,
            ASSURANCE_CLASS_LABEL,
            malacoda_lease(entry.name),
            assurance.lease if assurance else _UNKNOWN_LEASE,
        ),
        (
            entry.real_time,
            REAL_TIME_LABEL,
            rubicante_lease(entry.name),
            cpu.lease if cpu else _UNKNOWN_LEASE,
        ),
    ):
        until = expiry(lease_name, lease)
        if present and (until is None or until <= now):
            found.append(StaleLabel(node=entry.name, key=key, lease_name=lease_name, lease=lease))
    return tuple(found)


def holders_of(cpu: CpuState | None) -> frozenset[str] | None:
    """Published UIDs of the pods that may hold something in that state; None: any pod may."""
    if cpu is None:
        return frozenset()
    if cpu.leased is None:
        return None
    return cpu.leased.union(held.pod_uid for held in cpu.node.reservations)


def _read_platform(record: NodeRecord) -> tuple[str, Fraction | None]:
    factor: Fraction | None = None
    with suppress(InvalidAnnotationError):
        factor = parse_platform_factor(record.annotations.get(PLATFORM_FACTOR_KEY, "1"))
    return record.labels.get(PLATFORM_LABEL, ""), factor


def _read(text: str | None, former: Published[T] | None, parse: Callable[[str], T]) -> Published[T]:
    if former is not None and former.text == text:
        return former
    if text is None:
        return Published(text=None)
    try:
        return Published(text=text, value=parse(text))
    except InvalidAnnotationError as error:
        return Published(text=text, fault=str(error))


def _assurance_refusal(
    entry: NodeEntry, *, now: int, expiry: Expiry, expiries: list[int]
) -> Reason | None:
    assurance = entry.assurance.value
    if assurance is None:
        return Reason.ASSURANCE_INVALID if entry.assurance.fault else Reason.ASSURANCE_UNKNOWN
    until = expiry(malacoda_lease(entry.name), assurance.lease)
    if until is None:
        return Reason.ASSURANCE_NO_LEASE
    if until <= now:
        return Reason.ASSURANCE_STALE
    expiries.append(until)
    return None


def _cpu_refusal(
    entry: NodeEntry, *, now: int, expiry: Expiry, expiries: list[int]
) -> Reason | None:
    """Checks the Lease before the label, which is withdrawn from a node whose daemon is stale."""
    state = entry.cpu.value
    if state is None:
        return _no_state(entry)
    if state.mechanism == NO_MECHANISM:
        return Reason.CPU_NO_REAL_TIME
    until = expiry(rubicante_lease(entry.name), state.lease)
    if until is None or until <= now:
        return Reason.CPU_NO_LEASE if until is None else Reason.CPU_STATE_STALE
    expiries.append(until)
    if not entry.real_time:
        return Reason.CPU_NO_REAL_TIME
    if entry.platform != (state.node.platform, state.node.platform_factor):
        return Reason.CPU_PLATFORM_CHANGED  # WCETs would be those of another machine
    return None


def _no_state(entry: NodeEntry) -> Reason:
    if entry.cpu.fault:
        return Reason.CPU_STATE_INVALID
    return Reason.CPU_STATE_UNKNOWN if entry.real_time else Reason.CPU_NO_REAL_TIME


def _station_refusal(
    entry: NodeEntry, *, now: int, expiry: Expiry, expiries: list[int]
) -> Reason | None:
    state = entry.stations.value
    if state is None:
        return Reason.NETWORK_STATE_INVALID if entry.stations.fault else Reason.NETWORK_NO_DAEMON
    until = expiry(scarmiglione_lease(entry.name), state.lease)
    if until is None:
        return Reason.NETWORK_NO_DAEMON
    if until <= now:
        return Reason.NETWORK_STATE_STALE
    expiries.append(until)
    return None
