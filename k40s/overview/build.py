"""Objects of the API server at one instant -> ``Overview``. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from k40s.kube.objects.observed import EventRecord, ObservedNode, ObservedPod
from k40s.kube.records import LeaseRecord, NetworkRecord
from k40s.overview.cores import Grant
from k40s.overview.daemons import Beats
from k40s.overview.happenings import Suspicion, find_suspicions, format_instant, list_happenings
from k40s.overview.model import NetworkRow, NodeRow, Overview, PodRow
from k40s.overview.networks import network_row
from k40s.overview.nodes import NodeSurroundings, node_row
from k40s.overview.pods import PodFacts, pod_row, read_facts
from k40s.overview.texts import ParsedTexts


def build_overview(
    *,
    now: datetime,
    nodes: Sequence[ObservedNode],
    pods: Sequence[ObservedPod] = (),
    leases: Sequence[LeaseRecord] = (),
    networks: Sequence[NetworkRecord] = (),
    events: Sequence[EventRecord] = (),
    unreadable: Sequence[str] = (),
    texts: ParsedTexts | None = None,
) -> Overview:
    """The overview at ``now`` (UTC) of whatever the reader could list; it never raises.

    The records are those of informers over whole Nodes and Pods (``k40s.kube.objects.observed``),
    the Leases of k40s's namespace, Networks, and the Events of ``happenings.REPORTERS``; others are
    passed over. Without pods, cores show what is reserved and not by whom.

    - ``leases`` age by their ``renewed`` against ``now``. A process that watches them knows better
      than a node's clock: it replaces ``renewed`` by the time at which it saw the renewal.
    - ``unreadable`` is what the caller could not read or list; it comes first.
    - ``texts`` keeps parsed annotations from one call to the next: without it each call parses
      all of them, which is most of the cost.

    Nothing is redacted: see ``k40s.overview.redaction.visible``.
    """
    texts = ParsedTexts() if texts is None else texts
    texts.begin()
    names = {one.pod.uid: (one.pod.namespace, one.pod.name) for one in pods}
    events = [one for one in events if _is_about_its_pod(one, names)]
    happenings = list_happenings(
        events, nodes=nodes, places={one.pod.uid: one.pod.node for one in pods}
    )
    suspicions = find_suspicions(events, happenings=happenings)
    facts = [read_facts(one, texts, now=now) for one in pods]
    around = NodeSurroundings(
        beats=Beats(leases, now=now),
        grants=_grants(facts),
        suspicions=suspicions,
        names=names,
    )
    faults = list(unreadable)
    node_rows: list[NodeRow] = []
    for node in sorted(nodes, key=lambda one: one.node.name):
        row, found = node_row(node, around, texts)
        node_rows.append(row)
        faults += found
    pod_rows: list[PodRow] = []
    for one in facts:
        told = _row(one, suspicions.get(one.view.record.uid), now=now)
        pod_rows += [] if told is None else [told]
        faults += one.faults
    network_rows: list[NetworkRow] = []
    for network in sorted(networks, key=lambda one: one.name):
        shown, found = network_row(network)
        network_rows.append(shown)
        faults += found
    return Overview(
        at=format_instant(now),
        nodes=tuple(node_rows),
        pods=tuple(sorted(pod_rows, key=lambda one: (one.namespace, one.name))),
        networks=tuple(network_rows),
        happenings=happenings,
        unreadable=tuple(faults),
    )


def _is_about_its_pod(event: EventRecord, names: Mapping[str, tuple[str, str]]) -> bool:
    """Whether the pod with the UID that an Event names is the one that it names.

    The API server keeps an Event in the namespace of what it is about and checks no UID: else
    whoever may write Events in one namespace could tell of the pods of all others.
    """
    about = event.about
    named = (about.namespace, about.name)
    return about.kind != "Pod" or names.get(about.uid, named) == named


def _row(one: PodFacts, suspicion: Suspicion | None, *, now: datetime) -> PodRow | None:
    """The row of its object alone, unless time or a monitor may have changed it."""
    if suspicion is None and one.view.claim.value is None:
        return one.row
    return pod_row(one.view, suspicion, now=now)


def _grants(facts: Sequence[PodFacts]) -> dict[str, list[Grant]]:
    found: dict[str, list[Grant]] = {}
    for one in facts:
        if one.grant is not None:
            found.setdefault(one.view.record.node, []).append(one.grant)
    return found
