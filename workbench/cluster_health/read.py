"""Reads an installation from the API server, with the caller's rights; no Secret is read."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from k40s.errors import InvalidInputError, UnavailableError
from k40s.kube.gateway import KubeGateway
from k40s.kube.objects.fields import JsonObject
from k40s.kube.observation import ClusterSources, Scope, observe
from k40s.kube.records import LeaseRecord
from k40s.kube.transport import ForbiddenError, NotFoundError
from k40s.overview.build import build_overview
from k40s.overview.daemons import Beats
from k40s.pki.validity import VALIDITY, parse_validity
from workbench.cluster_health.digest import digest
from workbench.cluster_health.expected import DEFINITIONS
from workbench.cluster_health.facts import (
    CertificateFacts,
    Installation,
    LeaderFacts,
    PodFacts,
    Unknown,
    WorkloadFacts,
)
from workbench.cluster_health.objects import pod_facts, workload_facts
from workbench.cluster_health.renaming import Renaming, find_renaming

T = TypeVar("T")
LEADER = "k40s-controller"
"""The Lease of the controller's leader."""
_KINDS = ("nodes", "leases")
_PATHS = {
    "kind": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "policy": ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
    "binding": ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings"),
}


class InstallationReader:
    """One reading. A part that cannot be read is None, and named with the right that it needs."""

    def __init__(self, gateway: KubeGateway, *, namespace: str, now: datetime) -> None:
        self._gateway = gateway
        self._namespace = namespace
        self._now = now
        self._unknown: list[Unknown] = []

    def read(self) -> Installation:
        """All parts. Raises ``UnavailableError`` where the API server does not answer."""
        observation = observe(ClusterSources(self._gateway, Scope(system=self._namespace)), _KINDS)
        if observation.failure is not None and not isinstance(observation.failure, ForbiddenError):
            raise observation.failure
        for gap in observation.gaps:
            self._note(gap.kind, gap.cause, f"the right to list {gap.kind}")
        workloads = self._workloads()
        overview = build_overview(now=self._now, nodes=observation.nodes, leases=observation.leases)
        return Installation(
            at=self._now,
            namespace=self._namespace,
            workloads=workloads,
            pods=self._pods(),
            leader=None if "leases" in observation.missing else self._leader(observation.leases),
            nodes=None if observation.missing else overview.nodes,
            unreadable=overview.unreadable,
            certificates=self._certificates(),
            definitions=self._definitions(find_renaming((workloads or {}).values())),
            unknown=tuple(self._unknown),
        )

    def _workloads(self) -> Mapping[str, WorkloadFacts] | None:
        def read() -> Mapping[str, WorkloadFacts]:
            items = [
                workload_facts(kind, item)
                for kind in ("deployments", "daemonsets")
                for item in self._items(f"/apis/apps/v1/namespaces/{self._namespace}/{kind}")
            ]
            found = [one for one in items if one is not None]
            # Of two with the same part, such as one for each pool of nodes, the one with trouble.
            found.sort(key=lambda one: one.ready < one.wanted)
            return {one.name: one for one in found}

        return self._attempt(
            "workloads", read, f"list deployments and daemonsets in {self._namespace}"
        )

    def _pods(self) -> tuple[PodFacts, ...] | None:
        def read() -> tuple[PodFacts, ...]:
            found = map(pod_facts, self._items(f"/api/v1/namespaces/{self._namespace}/pods"))
            return tuple(one for one in found if one is not None)

        return self._attempt("pods", read, f"list pods in {self._namespace}")

    def _leader(self, leases: tuple[LeaseRecord, ...]) -> LeaderFacts:
        beat = Beats(leases, now=self._now).beat(LEADER)
        holder = next((one.holder for one in leases if one.name == LEADER), "")
        return LeaderFacts(name=LEADER, holder=holder, silent=beat.silent)

    def _certificates(self) -> tuple[CertificateFacts, ...] | None:
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{VALIDITY}"

        def read() -> tuple[CertificateFacts, ...]:
            data = self._gateway.api.request("GET", path).get("data")
            found = []
            for name, text in sorted((data if isinstance(data, dict) else {}).items()):
                begin, end = parse_validity(str(text), source=f"ConfigMap {VALIDITY}, {name}")
                found.append(CertificateFacts(name=name, begin=begin, end=end))
            return tuple(found)

        try:
            return self._attempt(
                "certificates", read, f"get the ConfigMap {VALIDITY} in {self._namespace}"
            )
        except NotFoundError:
            self._note(
                "certificates",
                f"nothing tells when they expire: no ConfigMap {VALIDITY}",
                "k40s certificates issue --output DIRECTORY; kubectl apply -k DIRECTORY",
            )
        except InvalidInputError as error:
            self._note("certificates", str(error), "apply the directory of certificates again")
        return None

    def _definitions(self, renaming: Renaming) -> Mapping[str, str] | None:
        def read() -> Mapping[str, str]:
            found = {}
            for name in DEFINITIONS:
                kind, _, own = name.partition(" ")
                root, plural = _PATHS[kind]
                try:
                    item = self._gateway.api.request("GET", f"{root}/{plural}/{renaming.name(own)}")
                except NotFoundError:
                    continue
                found[name] = digest(renaming.undo(item))
            return found

        plurals = " and ".join(plural for _, plural in _PATHS.values())
        return self._attempt("definitions", read, f"get {plurals}")

    def _attempt(self, part: str, read: Callable[[], T], right: str) -> T | None:
        try:
            return read()
        except ForbiddenError:
            self._note(part, f"no right to read {part}", f"the right to {right}")
        except UnavailableError as error:
            self._note(part, str(error), "try again")
        return None

    def _note(self, part: str, cause: str, remedy: str) -> None:
        self._unknown.append(Unknown(part=part, cause=cause, remedy=remedy))

    def _items(self, path: str) -> list[JsonObject]:
        items = self._gateway.api.request("GET", path).get("items")
        return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []
