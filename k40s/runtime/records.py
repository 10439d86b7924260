"""What k40s reads of API objects: small frozen values, so that a cache of 5,000 stays small."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """The metadata of a Node; spec and status are never fetched."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    resource_version: str

    @property
    def key(self) -> str:
        """What an informer's ``delete`` names."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """A Pod. ``node`` is "" while it is unbound; ``container_ids`` has the started containers."""

    uid: str
    namespace: str
    name: str
    node: str
    phase: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    containers: tuple[str, ...]
    container_ids: Mapping[str, str]
    deleting: bool
    cpu_request_millis: int
    scheduler: str

    @property
    def key(self) -> str:
        """What an informer's ``delete`` names: the UID, because names come again."""
        return self.uid

    @property
    def ended(self) -> bool:
        """Whether no container of it will ever run again."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A coordination Lease: a daemon's heartbeat. ``renewed`` is by the daemon's clock."""

    name: str
    holder: str
    renewed: datetime | None
    duration: Nanoseconds

    @property
    def key(self) -> str:
        """What an informer's ``delete`` names."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """The object that an event is about."""

    kind: str
    namespace: str
    name: str
    uid: str
