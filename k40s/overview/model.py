"""The overview: nodes, pods and networks at one instant, and what happened to them.

Every value is a string, a number, a boolean, None or a tuple of such dataclasses, so that
``dataclasses.asdict`` is its JSON. Times are RFC 3339 strings; durations are in µs.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRow:
    """One CPU server. ``pod_uid`` is empty for all those together that the reader may not see."""

    pod_uid: str
    namespace: str
    pod: str
    container: str
    criticality: str
    mechanism: str
    budget: float
    period: float
    share: float
    """Of one core, 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreRow:
    """One core, or the CPUs of a shared root domain (``any``)."""

    core: str
    capacity: float
    """What may be reserved, of one core (of all CPUs of the domain together for ``any``)."""
    servers: tuple[ServerRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonRow:
    """One daemon of a node, and for how many seconds it is silent; None: its Lease is current."""

    name: str
    silent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectRow:
    """A pod that a node's monitor holds responsible, and what was done to it."""

    namespace: str
    pod: str
    evidence: str
    act: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node. ``*_refusal`` are reason codes (docs/reasons.md), None where there is none."""

    name: str
    ready: bool
    real_time: bool
    level: int | None
    """Assurance, 0..20; None where it is not usable."""
    hardware: int | None
    """Part of the level, 0..5; None where there is no level. What is left is the state, 0..10."""
    software: int | None
    """Part of the level, 0..5; None where there is no level."""
    reduced: int
    """By how much a hazard has lowered the level."""
    hazards: tuple[str, ...]
    suspects: tuple[SuspectRow, ...]
    assurance_refusal: str | None
    cpu_refusal: str | None
    platform: str
    cores: tuple[CoreRow, ...]
    daemons: tuple[DaemonRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRow:
    """One pod that has demands on k40s, or holds something of it."""

    namespace: str
    name: str
    uid: str
    criticality: str
    node: str
    phase: str
    state: str
    """``running``, ``waiting``, ``refused``, ``claiming``, ``throttled``, ``moving``, ``ended``."""
    why: str
    """One sentence for a state that is not ``running``; empty otherwise."""
    tasks: int
    enforced: bool | None
    """None: nothing to enforce, or not said."""
    enforced_why: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """A slot of a TDMA cycle: each ``period`` cycles, in cycle ``phase``."""

    pod_uid: str
    namespace: str
    pod: str
    node: str
    offset: float
    length: float
    period: int
    phase: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One network. ``cycle`` is None where it has no TDMA."""

    name: str
    kind: str
    cycle: float | None
    utilization: float
    slots: tuple[SlotRow, ...]
    nodes: tuple[str, ...]
    refusal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that k40s did or saw."""

    at: str
    kind: str
    """``alarm``, ``suspect``, ``act``, ``level``, ``move``, ``preemption``, ``refusal``,
    ``kernel``, ``network`` or ``other``."""
    node: str
    namespace: str
    pod: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A cluster at one instant. ``unreadable`` names what could not be read, with the cause."""

    at: str
    nodes: tuple[NodeRow, ...]
    pods: tuple[PodRow, ...]
    networks: tuple[NetworkRow, ...]
    happenings: tuple[Happening, ...]
    unreadable: tuple[str, ...]
