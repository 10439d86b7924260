"""Nodes with their published states -> rows, with the extender's own refusals. Pure."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from k40s.annotations import (
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CULPRITS_KEY,
    HIGHEST_STATE,
    NETWORK_STATE_KEY,
    NO_MECHANISM,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    CpuState,
    Culprit,
    NetworkNodeState,
    NodeAssurance,
    parse_cpu_state,
    parse_culprits,
    parse_network_state,
    parse_node_assurance,
    parse_platform_factor,
)
from k40s.errors import InvalidAnnotationError
from k40s.kube.objects.observed import ObservedNode
from k40s.node_agent.leases import malacoda_lease, rubicante_lease, scarmiglione_lease
from k40s.overview.cores import Grant, core_rows
from k40s.overview.daemons import Beat, Beats
from k40s.overview.happenings import Suspicion
from k40s.overview.model import DaemonRow, NodeRow, SuspectRow
from k40s.overview.texts import Parsed, ParsedTexts
from k40s.reasons import Reason

_ASKED = "eviction asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSurroundings:
    """What of other objects a node's row needs, for all nodes.

    ``grants`` are by node, ``suspicions`` by the pod's UID, ``names`` are namespace and name of
    pods by their UIDs.
    """

    beats: Beats
    grants: Mapping[str, Sequence[Grant]]
    suspicions: Mapping[str, Suspicion]
    names: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """A node's annotations as values."""

    assurance: Parsed[NodeAssurance]
    cpu: Parsed[CpuState]
    stations: Parsed[NetworkNodeState]
    culprits: Parsed[tuple[Culprit, ...]]

    @property
    def faults(self) -> tuple[str, ...]:
        found = (self.assurance, self.cpu, self.stations, self.culprits)
        return tuple(one.fault for one in found if one.fault)


def node_row(
    observed: ObservedNode, around: NodeSurroundings, texts: ParsedTexts
) -> tuple[NodeRow, tuple[str, ...]]:
    """The node's row, and which of its fields and annotations could not be read and why."""
    record = observed.node
    published = _read(record.annotations, texts)
    real_time = record.labels.get(REAL_TIME_LABEL) == "true"
    assurance, cpu = published.assurance.value, published.cpu.value
    beats = _beats(record.name, published, around.beats)
    assurance_refusal = _assurance_refusal(published.assurance, beats["malacoda"])
    level = None if assurance is None or assurance_refusal else assurance.level
    row = NodeRow(
        name=record.name,
        ready=observed.ready,
        real_time=real_time,
        level=level,
        hardware=assurance.hardware if assurance and level is not None else None,
        software=assurance.software if assurance and level is not None else None,
        reduced=HIGHEST_STATE - assurance.state if assurance and level is not None else 0,
        hazards=assurance.hazards if assurance and level is not None else (),
        suspects=_suspects(
            record.name, published, around, calm=not (assurance and _is_low(assurance))
        ),
        assurance_refusal=assurance_refusal,
        cpu_refusal=_cpu_refusal(observed, published.cpu, beats["rubicante"], real_time=real_time),
        platform=record.labels.get(PLATFORM_LABEL, ""),
        cores=() if cpu is None else core_rows(cpu, around.grants.get(record.name, ())),
        daemons=_daemon_rows(record.name, published, around.beats, beats, real_time=real_time),
    )
    faults = (*(one.text for one in observed.faults), *published.faults)
    return row, tuple(f"node {record.name}: {fault}" for fault in faults)


def _is_low(assurance: NodeAssurance) -> bool:
    return assurance.state < HIGHEST_STATE or bool(assurance.hazards)


def _read(annotations: Mapping[str, str], texts: ParsedTexts) -> _Published:
    return _Published(
        assurance=texts.annotation(annotations.get(ASSURANCE_KEY), parse_node_assurance),
        cpu=texts.annotation(annotations.get(CPU_STATE_KEY), parse_cpu_state),
        stations=texts.annotation(annotations.get(NETWORK_STATE_KEY), parse_network_state),
        culprits=texts.annotation(annotations.get(CULPRITS_KEY), parse_culprits),
    )


def _beats(node: str, published: _Published, beats: Beats) -> dict[str, Beat]:
    """The beat of each daemon, by its name."""
    assurance, cpu = published.assurance.value, published.cpu.value
    stations = published.stations.value
    return {
        "malacoda": beats.beat(
            malacoda_lease(node),
            lease=assurance.lease if assurance else None,
            known=assurance.observed if assurance else None,
        ),
        "rubicante": beats.beat(rubicante_lease(node), lease=cpu.lease if cpu else None),
        "scarmiglione": beats.beat(
            scarmiglione_lease(node),
            lease=stations.lease if stations else None,
            known=stations.observed if stations else None,
        ),
    }


def _daemon_rows(
    node: str, published: _Published, leases: Beats, beats: Mapping[str, Beat], *, real_time: bool
) -> tuple[DaemonRow, ...]:
    """The daemons that the node has or should have: one with a Lease, a state, or a label."""
    expected = {
        "malacoda": malacoda_lease(node) in leases or published.assurance != Parsed(),
        "rubicante": rubicante_lease(node) in leases or published.cpu != Parsed() or real_time,
        "scarmiglione": scarmiglione_lease(node) in leases or published.stations != Parsed(),
    }
    return tuple(
        DaemonRow(name=name, silent=beat.silent) for name, beat in beats.items() if expected[name]
    )


def _assurance_refusal(assurance: Parsed[NodeAssurance], beat: Beat) -> str | None:
    if assurance.value is None:
        return Reason.ASSURANCE_INVALID if assurance.fault else Reason.ASSURANCE_UNKNOWN
    if not beat.renewed:
        return Reason.ASSURANCE_NO_LEASE
    return None if beat.silent is None else Reason.ASSURANCE_STALE


def _cpu_refusal(
    observed: ObservedNode, cpu: Parsed[CpuState], beat: Beat, *, real_time: bool
) -> str | None:
    """In the extender's order: state, mechanism, Lease, label, platform."""
    state = cpu.value
    if state is None:
        return _no_state(cpu, real_time=real_time)
    if state.mechanism == NO_MECHANISM:
        return Reason.CPU_NO_REAL_TIME
    if not beat.renewed or beat.silent is not None:
        return Reason.CPU_STATE_STALE if beat.renewed else Reason.CPU_NO_LEASE
    if not real_time:
        return Reason.CPU_NO_REAL_TIME
    return None if _platform_is_that_of(state, observed) else Reason.CPU_PLATFORM_CHANGED


def _no_state(cpu: Parsed[CpuState], *, real_time: bool) -> str:
    if cpu.fault:
        return Reason.CPU_STATE_INVALID
    return Reason.CPU_STATE_UNKNOWN if real_time else Reason.CPU_NO_REAL_TIME


def _platform_is_that_of(state: CpuState, observed: ObservedNode) -> bool:
    record = observed.node
    factor = None
    with suppress(InvalidAnnotationError):
        factor = parse_platform_factor(record.annotations.get(PLATFORM_FACTOR_KEY, "1"))
    platform = record.labels.get(PLATFORM_LABEL, "")
    return (platform, factor) == (state.node.platform, state.node.platform_factor)


def _suspects(
    node: str, published: _Published, around: NodeSurroundings, *, calm: bool
) -> tuple[SuspectRow, ...]:
    """Who is held responsible at present: on a ``calm`` node only those who are still held."""
    found: dict[str, SuspectRow] = {}
    for uid, one in around.suspicions.items():
        if one.node == node and one.act and (one.held or not calm):
            found[uid] = SuspectRow(
                namespace=one.namespace, pod=one.pod, evidence=one.evidence, act=one.act
            )
    for asked in published.culprits.value or ():
        namespace, pod = around.names.get(asked.uid, ("", ""))
        former = found.get(asked.uid)
        hazards = ", ".join(metric.value for metric in asked.hazards)
        since = datetime.fromtimestamp(asked.at // 1_000_000_000, UTC)
        told = f"{asked.rule.value} ({hazards}) since {since:%Y-%m-%dT%H:%M:%SZ}"
        found[asked.uid] = SuspectRow(
            namespace=namespace,
            pod=pod,
            evidence=former.evidence if former else told,
            act=_ASKED,
        )
    return tuple(found.values())
