"""Records of API objects: small frozen values, so that a cache of 5,000 stays small.

Users may write anything into an object. Every object that has its names becomes a record: an
unreadable field holds a default, and is listed in ``faults``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from k40s.network.model import NetworkState
from k40s.tenants.ledger import TenantState
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A ``field`` of a record that could not be read; ``text`` says where, and what was found."""

    field: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """The metadata of a Node; spec and status are never fetched."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    resource_version: str
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """A container's state in its pod's status; ``text`` says what it does instead of running.

    ``failing``: it cannot run or has failed, unlike one that is starting or has completed.
    """

    running: bool
    failing: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCondition:
    """A condition of a Pod. ``reason`` is one CamelCase word, ``message`` for people."""

    status: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCondition:
    """A condition of a Node. ``since`` is when its status last changed, in UTC."""

    kind: str
    status: bool
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """A Pod. ``node`` is "" while it is unbound.

    ``sidecars`` are init containers that run beside ``containers`` (restartPolicy Always),
    ``init_containers`` those that end before. ``container_ids`` has whatever container has
    started, init and ephemeral ones among them; ``states`` are those of the same. ``enforced`` is
    its condition k40s.io/enforced, None where it has none.
    """

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
    faults: tuple[Fault, ...] = ()
    sidecars: tuple[str, ...] = ()
    init_containers: tuple[str, ...] = ()
    ephemeral_containers: tuple[str, ...] = ()
    states: Mapping[str, ContainerState] = field(default_factory=dict)
    resource_version: str = ""
    """The version of the object that this was read of; a write may be made to depend on it."""
    enforced: PodCondition | None = None
    priority_class: str = ""
    address: str = ""
    """The pod's IP address; "" until it has one."""
    host_network: bool = False
    """Whether the address is the node's own."""
    runtime_class: str = ""
    """Name of its RuntimeClass; "" is the node's default runtime."""

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``: the UID, because names are reused."""
        return self.uid

    def following(self, former: "PodRecord | None") -> "PodRecord":
        """The same pod, with the last known value of each field that is unreadable now.

        Except the CPU request, which must not be that of an earlier version.
        """
        if former is None or not self.faults:
            return self
        known: dict[str, Any] = {
            fault.field: getattr(former, fault.field)
            for fault in self.faults
            if fault.field != "cpu_request_millis"
        }
        return replace(self, **known)

    @property
    def task_containers(self) -> tuple[str, ...]:
        """Names of the containers that may hold real-time tasks."""
        return (*self.containers, *self.sidecars)

    @property
    def all_containers(self) -> tuple[str, ...]:
        """Names of all containers that the pod may ever run."""
        return (*self.task_containers, *self.init_containers, *self.ephemeral_containers)

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
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """The object that an event is about."""

    kind: str
    namespace: str
    name: str
    uid: str
    api_version: str = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOwnerRecord:
    """An owner of pods with a pod template, such as a Deployment.

    ``unreached`` are keys of k40s on itself that its template lacks or has otherwise. One that is
    ``controlled`` belongs to another owner, whose template has to be corrected.
    """

    about: ObjectRef
    unreached: tuple[str, ...]
    controlled: bool = False
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.about.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A Network.

    One that cannot be used has a ``fault`` in its ``state``, and is listed in ``faults`` as well.
    """

    name: str
    uid: str
    state: NetworkState
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRecord:
    """A Tenant.

    One that cannot be used has a ``fault`` in its ``state``, and is listed in ``faults`` as well.
    """

    state: TenantState
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.state.name
