"""Pods with demands on k40s -> rows: in which state each is, and why. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from k40s.annotations import (
    ALLOCATION_KEY,
    METRIC_KEY,
    MIGRATION_KEY,
    NETWORK_GRANT_KEY,
    NETWORK_KEY,
    POD_KEYS,
    PREEMPTION_KEY,
    parse_claim,
    parse_release,
    read_workload,
)
from k40s.annotations.keys import CRITICALITY_KEY
from k40s.annotations.preemption import Claim
from k40s.assurance.migration.record import Release
from k40s.cpu.model import Reservation
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.kube.objects.observed import ObservedPod
from k40s.kube.records import PodRecord
from k40s.node_api.allocation import core_name, parse_allocation
from k40s.overview.cores import Grant, read_grant
from k40s.overview.happenings import Suspicion, format_instant
from k40s.overview.model import PodRow, ServerRow
from k40s.overview.texts import Parsed, ParsedTexts
from k40s.units import NS_PER_S, NS_PER_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_HELD = (ALLOCATION_KEY, NETWORK_GRANT_KEY, MIGRATION_KEY, PREEMPTION_KEY)
_OURS = (*POD_KEYS, *_HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What one pod's object alone says of it.

    ``row`` is None where nothing of it concerns k40s; it holds while no monitor accuses the pod and
    no claim of it expires.
    """

    view: "PodView"
    row: PodRow | None
    grant: Grant | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A pod's annotations as values."""

    observed: ObservedPod
    workload: Parsed[Workload]
    granted: Parsed[tuple[Reservation, ...]]
    claim: Parsed[Claim]
    release: Parsed[Release]

    @property
    def record(self) -> PodRecord:
        """The pod itself."""
        return self.observed.pod

    @property
    def faults(self) -> tuple[str, ...]:
        """Why annotations could not be read."""
        found = (self.workload, self.granted, self.claim, self.release)
        return tuple(one.fault for one in found if one.fault)

    @property
    def held(self) -> tuple[Reservation, ...]:
        """The servers that it holds on its node; none before it is bound and after it has ended."""
        record = self.record
        return () if record.ended or not record.node else self.granted.value or ()


def read_facts(observed: ObservedPod, texts: ParsedTexts, *, now: datetime) -> PodFacts:
    """The facts of a pod, read again only when its object has changed."""
    return texts.derived(observed.pod.uid, observed, lambda one: pod_facts(one, texts, now=now))


def pod_facts(observed: ObservedPod, texts: ParsedTexts, *, now: datetime) -> PodFacts:
    """Read a pod."""
    view = _read(observed, texts)
    record = observed.pod
    grant = None
    if view.held:
        grant = read_grant(view.held, uid=record.uid, namespace=record.namespace, pod=record.name)
    ours = CRITICALITY_KEY in record.labels or any(key in record.annotations for key in _OURS)
    row = pod_row(view, None, now=now)
    causes = (*(one.text for one in observed.faults), *view.faults) if ours else ()
    return PodFacts(
        view=view,
        row=row if ours else None,
        grant=grant,
        faults=tuple(f"pod {record.namespace}/{record.name}: {cause}" for cause in causes),
    )


def _read(observed: ObservedPod, texts: ParsedTexts) -> PodView:
    record = observed.pod
    annotations = record.annotations
    ours = tuple(annotations.get(key) for key in POD_KEYS)
    workload = texts.read(
        ("workload", record.labels.get(CRITICALITY_KEY), *ours, record.containers, record.sidecars),
        lambda: read_workload(
            labels=record.labels,
            annotations=annotations,
            containers=record.containers,
            sidecars=record.sidecars,
            init_containers=record.init_containers,
            held=bool(record.node),
        ),
    )
    text = annotations.get(ALLOCATION_KEY)
    granted: Parsed[tuple[Reservation, ...]] = Parsed()
    if text is not None:
        granted = texts.read(
            ("granted", record.uid, text), lambda: parse_allocation(text, pod_uid=record.uid)
        )
    return PodView(
        observed=observed,
        workload=workload,
        granted=granted,
        claim=texts.annotation(annotations.get(PREEMPTION_KEY), parse_claim),
        release=texts.annotation(annotations.get(MIGRATION_KEY), parse_release),
    )


def pod_row(view: PodView, suspicion: Suspicion | None, *, now: datetime) -> PodRow | None:
    """The pod's row, or None for one without demands that holds nothing and is not held."""
    record, workload = view.record, view.workload.value
    tasks = 0 if workload is None else len(workload.tasks)
    state, why, since = _state(view, suspicion, now=now)
    plain = workload is not None and workload.criticality is Criticality.NO and not tasks
    if (
        plain
        and state != "throttled"
        and not set(record.annotations).intersection((NETWORK_KEY, METRIC_KEY, *_HELD))
    ):
        return None
    enforced = record.enforced if tasks and not record.ended else None
    return PodRow(
        namespace=record.namespace,
        name=record.name,
        uid=record.uid,
        criticality="" if workload is None else workload.criticality.name,
        node=record.node,
        phase=record.phase,
        state=state,
        why=why,
        tasks=tasks,
        enforced=None if enforced is None else enforced.status,
        enforced_why="" if enforced is None or enforced.status else enforced.message,
        since=format_instant(since),
    )


def _state(
    view: PodView, suspicion: Suspicion | None, *, now: datetime
) -> tuple[str, str, datetime | None]:
    """The state, the sentence of why, and since when."""
    observed, record = view.observed, view.record
    begun = observed.started or observed.created
    if record.ended:
        return "ended", f"its phase is {record.phase}", begun
    release = view.release.value
    if release is not None:
        why = f"it is moved from node {release.node}, where the assurance is too low for it"
        return "moving", why, _instant(release.at)
    if record.deleting:
        return "ended", "it is being deleted", begun
    if not record.node:
        return _unbound(view, now=now)
    if suspicion is not None and suspicion.held:
        why = f"node {record.node} holds it responsible for a hazard: it is {suspicion.held}"
        return "throttled", why, begun
    return _bound(record, begun)


def _unbound(view: PodView, *, now: datetime) -> tuple[str, str, datetime | None]:
    observed, claim = view.observed, view.claim.value
    if claim is not None and claim.until >= int(now.timestamp()) * NS_PER_S:
        why = f"less critical pods leave node {claim.node} for it"
        return "claiming", why, _instant(claim.at)
    if observed.refused:
        return "refused", observed.refused, observed.refused_since or observed.created
    scheduler = observed.pod.scheduler or "its scheduler"
    return "waiting", f"{scheduler} has not placed it yet", observed.created


def _bound(record: PodRecord, begun: datetime | None) -> tuple[str, str, datetime | None]:
    troubled = [
        f"container {name}: {one.text}"
        for name, one in record.states.items()
        if name in record.task_containers and not one.running and one.text
    ]
    if record.phase == "Running" and not troubled:
        return "running", "", begun
    why = troubled[0] if troubled else "its containers have not started yet"
    return "waiting", why, begun


def _instant(at: int) -> datetime:
    """Exact: a float of the last microsecond of the year 9999 is that of the next year."""
    return _EPOCH + timedelta(microseconds=at // NS_PER_US)


def granted_servers(
    pods: Iterable[ObservedPod], texts: ParsedTexts, *, now: datetime
) -> dict[str, list[tuple[str, ServerRow]]]:
    """The servers of pods that have not ended, by UID, with their cores: for who sees no Node."""
    found: dict[str, list[tuple[str, ServerRow]]] = {}
    for one in pods:
        grant = read_facts(one, texts, now=now).grant
        if grant is not None:
            found[grant.uid] = [(str(core_name(core)), server) for core, server in grant.servers]
    return found
