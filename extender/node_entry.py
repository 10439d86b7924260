"""One Node's record -> what it publishes -> a view at an instant. Pure.

Texts are parsed once, when they change; a view is made again when a daemon falls silent or is
heard again, and keeps the parsed values, so that judgements by their identity stay valid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from extender.views import NodeView
from k40s.annotations import (
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    REAL_TIME_LABEL,
    CpuState,
    NodeAssurance,
    parse_cpu_state,
    parse_node_assurance,
)
from k40s.errors import InvalidAnnotationError
from k40s.reasons import Reason
from k40s.runtime.records import NodeRecord
from k40s.units import Nanoseconds

NO_MECHANISM = "none"

T = TypeVar("T")
Expiry = Callable[[str, Nanoseconds], int | None]
"""(lease name, lease) -> when its holder becomes stale, None if it was never heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Generic[T]):
    """An annotation: its text, and either its value or (where there is a text) the fault in it."""

    text: str | None
    value: T | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """What a Node publishes."""

    name: str
    real_time: bool
    assurance: Published[NodeAssurance]
    cpu: Published[CpuState]


def read_entry(record: NodeRecord, former: NodeEntry | None) -> NodeEntry:
    """Parse what has changed since ``former``."""
    return NodeEntry(
        name=record.name,
        real_time=record.labels.get(REAL_TIME_LABEL) == "true",
        assurance=_read(
            record.annotations.get(ASSURANCE_KEY),
            former.assurance if former else None,
            parse_node_assurance,
        ),
        cpu=_read(
            record.annotations.get(CPU_STATE_KEY), former.cpu if former else None, parse_cpu_state
        ),
    )


def view_entry(entry: NodeEntry, *, now: int, expiry: Expiry) -> tuple[NodeView, int | None]:
    """See a node at an instant; also returns when silence will next change the view, if ever."""
    heard: list[int] = []
    assurance = _assurance_refusal(entry, now=now, expiry=expiry, heard=heard)
    refusal = _cpu_refusal(entry, now=now, expiry=expiry, heard=heard)
    level = entry.assurance.value.level if entry.assurance.value and not assurance else 0
    cpu = None if refusal else entry.cpu.value
    holders = cpu.node.reservations if cpu is not None else ()
    view = NodeView(
        name=entry.name,
        real_time=entry.real_time,
        level=level,
        assurance=assurance,
        cpu=cpu,
        cpu_refusal=refusal,
        holders=frozenset(held.pod_uid for held in holders),
    )
    return view, min(heard, default=None)


def assurance_lease(node: str) -> str:
    """The Lease that malacoda renews."""
    return f"malacoda-{node}"


def cpu_lease(node: str) -> str:
    """The Lease that rubicante renews."""
    return f"rubicante-{node}"


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
    entry: NodeEntry, *, now: int, expiry: Expiry, heard: list[int]
) -> Reason | None:
    assurance = entry.assurance.value
    if assurance is None:
        return Reason.ASSURANCE_UNKNOWN
    until = expiry(assurance_lease(entry.name), assurance.lease)
    if until is None or until <= now:
        return Reason.ASSURANCE_STALE
    heard.append(until)
    return None


def _cpu_refusal(entry: NodeEntry, *, now: int, expiry: Expiry, heard: list[int]) -> Reason | None:
    state = entry.cpu.value
    if not entry.real_time:
        return Reason.CPU_NO_REAL_TIME
    if state is None:
        return Reason.CPU_STATE_UNKNOWN
    if state.mechanism == NO_MECHANISM:
        return Reason.CPU_NO_REAL_TIME
    until = expiry(cpu_lease(entry.name), state.lease)
    if until is None or until <= now:
        return Reason.CPU_STATE_STALE
    heard.append(until)
    return None
