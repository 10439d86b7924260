"""Lists what an overview is made of, with the rights of whoever asks.

What may not be listed is a ``Gap``, and the rest is there all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from k40s.errors import UnavailableError
from k40s.http.client import LateError
from k40s.kube.gateway import KubeGateway
from k40s.kube.list_watch import Keyed, Unreadable, WatchSource
from k40s.kube.objects.observed import (
    EventRecord,
    ObservedNode,
    ObservedPod,
    event_record,
    observed_node,
    observed_pod,
)
from k40s.kube.records import LeaseRecord, NetworkRecord
from k40s.kube.transport import ApiTransport, ForbiddenError, NotFoundError
from k40s.kube.watching.sources import ApiSource, label_query

R = TypeVar("R", bound=Keyed)
_EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which objects: ``namespace`` "" is all of them; labels and names select, "" selects all."""

    system: str
    """The namespace of k40s, where its Leases are."""
    namespace: str = ""
    node: str = ""
    node_labels: str = ""
    pod_labels: str = ""
    reporters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A kind of object that could not be listed: ``cause`` is one line."""

    kind: str
    cause: str
    forbidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The arguments of ``build_overview``, and what is missing of them."""

    nodes: tuple[ObservedNode, ...] = ()
    pods: tuple[ObservedPod, ...] = ()
    leases: tuple[LeaseRecord, ...] = ()
    networks: tuple[NetworkRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()
    unreadable: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    failure: UnavailableError | None = None
    """Set where nothing at all could be listed."""

    @property
    def missing(self) -> frozenset[str]:
        """The kinds of the gaps."""
        return frozenset(one.kind for one in self.gaps)


def node_source(api: ApiTransport, *, labels: str = "", name: str = "") -> ApiSource[ObservedNode]:
    """List and watch whole Nodes."""
    query = label_query(labels=labels, fields=f"metadata.name={name}" if name else "")
    return ApiSource(api, "/api/v1/nodes", query, observed_node)


def pod_source(
    api: ApiTransport, *, namespace: str = "", labels: str = "", node: str = ""
) -> ApiSource[ObservedPod]:
    """List and watch Pods, of one namespace or all, of one node or all."""
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    query = label_query(labels=labels, fields=f"spec.nodeName={node}" if node else "")
    return ApiSource(api, path, query, observed_pod)


def event_source(
    api: ApiTransport, *, reporter: str, namespace: str = ""
) -> ApiSource[EventRecord]:
    """List and watch the Events of one reporter."""
    path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    query = label_query(labels="", fields=f"reportingComponent={reporter}")
    return ApiSource(api, path, query, event_record)


class ClusterSources:
    """The sources of a scope, by kind."""

    def __init__(self, gateway: KubeGateway, scope: Scope) -> None:
        api = gateway.api
        self.nodes = node_source(api, labels=scope.node_labels, name=scope.node)
        self.pods = pod_source(
            api, namespace=scope.namespace, labels=scope.pod_labels, node=scope.node
        )
        self.leases = gateway.leases(namespace=scope.system)
        self.networks = gateway.networks()
        self.events = tuple(
            event_source(api, reporter=one, namespace=scope.namespace) for one in scope.reporters
        )

    def narrow(self, other: "ClusterSources", kinds: Iterable[str]) -> None:
        """Take the sources of these kinds from another scope."""
        if "pods" in kinds:
            self.pods = other.pods
        if _EVENTS in kinds:
            self.events = other.events


def observe(sources: ClusterSources, kinds: Iterable[str] = ()) -> Observation:
    """List them all, or only ``kinds``. It never raises for what it cannot list.

    Once the server has not answered in time, nothing more is asked: each kind would wait as long.
    """
    look = _Look(kinds)
    return Observation(
        nodes=look.list("nodes", [sources.nodes]),
        pods=look.list("pods", [sources.pods]),
        leases=look.list("leases", [sources.leases]),
        networks=look.list("networks", [sources.networks]),
        events=look.list(_EVENTS, list(sources.events)),
        unreadable=tuple(look.unreadable),
        gaps=tuple(look.gaps),
        failure=look.failure,
    )


class _Look:
    """One round of listing."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = frozenset(kinds)
        self._listed = False
        self._late: LateError | None = None
        self.failure: UnavailableError | None = None
        self.unreadable: list[str] = []
        self.gaps: list[Gap] = []

    def list(self, kind: str, sources: Sequence[WatchSource[R]]) -> tuple[R, ...]:
        if self._kinds and kind not in self._kinds:
            return ()
        records: list[R] = []
        try:
            if self._late is not None:
                raise self._late
            for source in sources:
                listing = source.list()
                records += listing.records
                self.unreadable += [
                    _told(kind, one) for one in listing.unreadable if not one.identified
                ]
        except UnavailableError as error:
            self._late = error if isinstance(error, LateError) else self._late
            if not self._listed:
                self.failure = self.failure or error
            self.gaps.append(explain(kind, error))
            return ()
        self._listed, self.failure = True, None
        return tuple(records)


def explain(kind: str, error: UnavailableError) -> Gap:
    """What it means to a reader that a kind could not be listed."""
    if isinstance(error, ForbiddenError):
        return Gap(kind=kind, cause=f"no right to list {kind}", forbidden=True)
    if isinstance(error.__cause__, NotFoundError):
        cause = f"the cluster does not serve {kind}: k40s is not installed, or in parts"
        return Gap(kind=kind, cause=cause, forbidden=False)
    return Gap(kind=kind, cause=f"{kind} could not be listed: {error}", forbidden=False)


def _told(kind: str, one: Unreadable) -> str:
    return f"{kind.removesuffix('s')} {one.name or 'without a name'}: {one.cause}"
