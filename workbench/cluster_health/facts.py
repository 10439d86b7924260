"""What is known of an installation at an instant. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from k40s.overview.model import NodeRow


class Kind(StrEnum):
    """Kinds of workloads, as kubectl spells them."""

    DEPLOYMENT = "deployment"
    DAEMON_SET = "daemonset"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """A Deployment or DaemonSet: how many pods are wanted and ready, and the tag of its image.

    ``name`` is that of the part, by its label; ``resource`` the object's, which an overlay may
    have changed.
    """

    kind: Kind
    name: str
    resource: str
    wanted: int
    ready: int
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """A pod of a workload. ``trouble`` is what a container does instead of running, if any."""

    name: str
    owner: str
    node: str
    ready: bool
    tag: str
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderFacts:
    """A Lease of a leader: who holds it and for how many seconds it is silent, None if current."""

    name: str
    holder: str
    silent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """From when until when a certificate is valid, as it was issued."""

    name: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """All facts. A part that could not be read is None, and ``unknown`` says why, one line each.

    ``definitions`` are digests of CustomResourceDefinitions and policies by their kind and name;
    what is absent is not in it. ``at`` is the time of all that.
    """

    at: datetime
    namespace: str
    workloads: Mapping[str, WorkloadFacts] | None = None
    pods: tuple[PodFacts, ...] | None = None
    leader: LeaderFacts | None = None
    nodes: tuple[NodeRow, ...] | None = None
    unreadable: tuple[str, ...] = ()
    certificates: tuple[CertificateFacts, ...] | None = None
    definitions: Mapping[str, str] | None = None
    unknown: tuple["Unknown", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A part that could not be judged, why, and what would let it be."""

    part: str
    cause: str
    remedy: str
