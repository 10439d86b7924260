"""Facts about an installation -> findings: what is well, what is not, and what to do. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from k40s.reasons import Reason
from workbench.cluster_health.expected import DAEMON_SETS, DEFINITIONS, DEPLOYMENTS, SCHEDULER
from workbench.cluster_health.facts import CertificateFacts, Installation, Kind, WorkloadFacts

_SOON = timedelta(days=14)
_PART = "app.kubernetes.io/name"
_NAMED = 5
"""Names in a line."""
_BAD_STATES = (Reason.ASSURANCE_INVALID, Reason.CPU_STATE_INVALID, Reason.CPU_PLATFORM_CHANGED)


class Verdict(StrEnum):
    """Of a finding."""

    OK = "ok"
    FAULT = "FAULT"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: the part, what there is, and what to do about it ("" where nothing is)."""

    verdict: Verdict
    part: str
    text: str
    remedy: str = ""


def judge(installation: Installation) -> list[Finding]:
    """All findings, in a fixed order of parts."""
    return [
        *_workloads(installation),
        *_versions(installation),
        *_leader(installation),
        *_daemons(installation),
        *_certificates(installation),
        *_definitions(installation),
        *_annotations(installation),
        *(
            Finding(verdict=Verdict.UNKNOWN, part=one.part, text=one.cause, remedy=one.remedy)
            for one in installation.unknown
        ),
    ]


def overall(findings: list[Finding]) -> Verdict:
    """A fault anywhere is one; else what could not be judged leaves it open."""
    verdicts = {one.verdict for one in findings}
    return next((one for one in (Verdict.FAULT, Verdict.UNKNOWN) if one in verdicts), Verdict.OK)


def _fault(part: str, text: str, remedy: str) -> Finding:
    return Finding(verdict=Verdict.FAULT, part=part, text=text, remedy=remedy)


def _ok(part: str, text: str) -> Finding:
    return Finding(verdict=Verdict.OK, part=part, text=text)


def _workloads(installation: Installation) -> Iterator[Finding]:
    if installation.workloads is None:
        return
    for name, required in (*DEPLOYMENTS.items(), *DAEMON_SETS.items()):
        found = installation.workloads.get(name)
        if found is not None:
            yield _workload(installation, found)
        elif required:
            yield _fault(
                name,
                f"not installed in namespace {installation.namespace}",
                "apply the manifests again, or name the namespace with --system-namespace",
            )


def _workload(installation: Installation, found: WorkloadFacts) -> Finding:
    every = "nodes" if found.kind is Kind.DAEMON_SET else "replicas"
    text = f"{found.ready} of {found.wanted} {every} ready, {found.tag or 'no tag'}"
    if found.wanted == 0 and found.kind is Kind.DEPLOYMENT:
        where = f"kubectl -n {installation.namespace}"
        return _fault(
            found.name, "scaled to 0", f"{where} scale deployment {found.resource} --replicas 2"
        )
    if found.ready >= found.wanted:
        return _ok(found.name, text)
    where = f"kubectl -n {installation.namespace}"
    troubled = [one for one in installation.pods or () if one.owner == found.name and not one.ready]
    if not troubled:
        return _fault(found.name, text, f"{where} describe {found.kind} {found.resource}")
    first = troubled[0]
    places = _listed([one.node or "no node" for one in troubled])
    trouble = f": {first.trouble}" if first.trouble else ""
    remedy = f"{where} describe pod {first.name}; {where} logs {first.name} --all-containers"
    return _fault(found.name, f"{text}; not on {places}{trouble}", remedy)


def _versions(installation: Installation) -> Iterator[Finding]:
    """Parts of one installation have one version; a DaemonSet's pods have that of the DaemonSet."""
    workloads = installation.workloads
    if not workloads:
        return
    tags = {one.tag for name, one in workloads.items() if name != SCHEDULER and one.tag}
    if len(tags) > 1:
        told = ", ".join(
            f"{name} {one.tag}" for name, one in sorted(workloads.items()) if name != SCHEDULER
        )
        yield _fault("versions", f"parts differ: {told}", "apply the manifests of one version")
    for name in DAEMON_SETS:
        wanted = workloads.get(name)
        old = [
            one
            for one in installation.pods or ()
            if wanted is not None and one.owner == name and one.tag != wanted.tag
        ]
        if wanted is not None and old:
            places = _listed([f"{one.node} ({one.tag})" for one in old])
            yield _fault(
                "versions",
                f"{name} should be {wanted.tag} and is not on {places}",
                f"kubectl -n {installation.namespace} rollout status daemonset/{wanted.resource}",
            )


def _leader(installation: Installation) -> Iterator[Finding]:
    leader = installation.leader
    if leader is None:
        return
    if not leader.holder or leader.silent is not None:
        yield _fault(
            "leader",
            "no replica of the controller leads: nothing is moved, preempted or collected",
            f"kubectl -n {installation.namespace} logs -l {_PART}=k40s-controller --prefix",
        )
    else:
        yield _ok("leader", f"{leader.holder} leads the controller")


def _daemons(installation: Installation) -> Iterator[Finding]:
    """Leases of the node daemons, by node."""
    if installation.nodes is None:
        return
    current = 0
    for row in installation.nodes:
        for daemon in row.daemons:
            if daemon.silent is None:
                current += 1
                continue
            since = f" for {daemon.silent:.0f} s" if daemon.silent else ""
            where = f"kubectl -n {installation.namespace} get pods -o wide"
            yield _fault(
                "leases",
                f"{daemon.name} of node {row.name} is silent{since}: "
                "the node takes no pods that need it",
                f"{where} --field-selector spec.nodeName={row.name}; then its logs",
            )
    yield _ok("leases", f"{current} daemons on {len(installation.nodes)} nodes renew theirs")


def _certificates(installation: Installation) -> Iterator[Finding]:
    found = installation.certificates
    if found is None:
        return
    bad = False
    installed = (installation.workloads or {}).get(SCHEDULER)
    scheduler = SCHEDULER if installed is None else installed.resource
    for one in found:
        ends = f"{one.end:%Y-%m-%d}"
        remedy = (
            "k40s certificates renew --output DIRECTORY; kubectl apply -k DIRECTORY; "
            f"kubectl -n {installation.namespace} rollout restart deployment/{scheduler}"
        )
        if one.end <= installation.at:
            bad = True
            yield _fault("certificates", f"{one.name} has expired on {ends}", remedy)
        elif one.end - installation.at < _SOON:
            bad = True
            yield _fault("certificates", f"{one.name} expires on {ends}", remedy)
    if found and not bad:
        first = min(found, key=lambda one: one.end)
        due = " (renewal is due)" if _is_due(first, installation) else ""
        text = f"{len(found)} valid, the first expires on {first.end:%Y-%m-%d}: {first.name}{due}"
        yield _ok("certificates", text)


def _is_due(one: CertificateFacts, installation: Installation) -> bool:
    """Less than a third of its lifetime is left, as ``k40s certificates renew`` judges."""
    return 3 * (one.end - installation.at) < one.end - one.begin


def _definitions(installation: Installation) -> Iterator[Finding]:
    found = installation.definitions
    if found is None:
        return
    faults = 0
    for name, expected in DEFINITIONS.items():
        if found.get(name) == expected:
            continue
        faults += 1
        missing = name not in found
        yield _fault(
            "definitions",
            f"{name} is missing" if missing else f"{name} is of another version than this command",
            "apply the manifests again"
            if missing
            else "use the command and manifests of one version",
        )
    if not faults:
        yield _ok("definitions", f"{len(DEFINITIONS)} kinds and policies are those of this version")


def _annotations(installation: Installation) -> Iterator[Finding]:
    for one in installation.unreadable:
        yield _fault(
            "annotations", one, "who wrote it has another version, or it was edited by hand"
        )
    for row in installation.nodes or ():
        if row.cpu_refusal == Reason.CPU_PLATFORM_CHANGED:
            yield _fault(
                "annotations",
                f"node {row.name} was relabelled: its CPU state is that of another platform",
                f"kubectl -n {installation.namespace} delete pods -l {_PART}=rubicante "
                f"--field-selector spec.nodeName={row.name}",
            )


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {rest} more" if rest > 0 else shown
