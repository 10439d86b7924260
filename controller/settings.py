"""The controller's settings, from ``K40S_*`` variables (docs/migration.md, docs/preemption.md)."""

from dataclasses import dataclass
from pathlib import Path

from controller.preemption_rules.policy import PreemptionPolicy
from k40s.assurance.eviction import EvictionPolicy
from k40s.assurance.level import Thresholds
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.http.listening import EVERY_ADDRESS, Host
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.runtime_classes import parse_runtime_classes
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

_SHORTEST_LEASE = 3 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """Limits are those of the cluster as a whole, unless they say otherwise."""

    dry_run: bool = False
    """Report what would be moved or preempted, and do nothing."""
    migration_hold_off: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """A level has to be too low for so long before a pod is moved: the node acts first."""
    migration_interval: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """Least time between two moves."""
    migrations_per_hour: int = 12
    """Most moves in any hour, 1 to 60."""
    migration_owner_cooldown: Nanoseconds = Nanoseconds(60 * NS_PER_S)
    """Least time between two moves of pods of one owner."""
    migration_rest: Nanoseconds = Nanoseconds(1800 * NS_PER_S)
    """For so long a replacement is not moved, and a node that was left is no destination; at most
    7200s."""
    migration_pod_cooldown: Nanoseconds = Nanoseconds(600 * NS_PER_S)
    """A pod whose replacement never became ready is not tried again for so long."""
    migration_surge_timeout: Nanoseconds = Nanoseconds(120 * NS_PER_S)
    """A replacement has to be ready within so long, or the old pod is given back to its owner."""
    migration_retry: Nanoseconds = Nanoseconds(15 * NS_PER_S)
    """Time until a pod that nobody would take, or that may not be evicted, is tried again."""
    preemption: bool = True
    """Whether LOW and HI pods that no node would take preempt less critical ones."""
    preemption_hold_off: Nanoseconds = Nanoseconds(NS_PER_S)
    """A pod has to be unschedulable for so long before it preempts others."""
    preemption_interval: Nanoseconds = Nanoseconds(NS_PER_S)
    """Least time between the beginnings of two preemptions."""
    preemption_victims_per_hour: int = 60
    """Most pods that are evicted for others in any hour, 1 to 500."""
    preemption_namespace_victims_per_hour: int = 15
    """Most pods that are evicted for the pods of one namespace in any hour, 1 to 500."""
    preemption_claim: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """Room is held for a pod for so long, and the longest grace period of its victims; at least
    5s."""
    preemption_settle: Nanoseconds = Nanoseconds(300 * NS_PER_MS)
    """Time from the claim to the first eviction, in which every extender hears of the claim."""
    preemption_retry: Nanoseconds = Nanoseconds(15 * NS_PER_S)
    """Longest time until a pod is tried again that may not preempt; the first ones are shorter."""
    preemption_rest: Nanoseconds = Nanoseconds(600 * NS_PER_S)
    """A pod is not tried again for so long that did not get its place although its victims went; at
    most 3600s."""
    scheduler_name: str = "k40s-scheduler"
    """The scheduler whose pods preempt others; the extender's."""
    migrations_per_namespace: int = 6
    """Most moves of one namespace's pods in any hour, 1 to 60."""
    evict_culprits: bool = False
    """Evict pods that a node's monitor names as the cause of a hazard that it could not end."""
    evictions_per_hour: int = 6
    """Most culprits that are evicted in any hour, 1 to 60."""
    high_threshold: int = 14
    """Least assurance for HI, 0 to 20; the extender's."""
    low_threshold: int = 7
    """Least assurance for LOW, 0 to 20; the extender's."""
    runtime_classes: tuple[str, ...] = ()
    """RuntimeClass by criticality, such as `HI=kata`; the extender's."""
    extender_service: str = "k40s-extender"
    """Host of the extender's API. The manifests set it to the Service's name."""
    extender_port: Port = Port(8443)
    """Port of the extender's API (mutual TLS)."""
    extender_name: str = "k40s-extender"
    """Name that the extender's certificate must carry."""
    extender_timeout: Nanoseconds = Nanoseconds(3 * NS_PER_S)
    """Bound of one question to the extender."""
    client_tls_directory: Path = Path("/etc/k40s/client-tls")
    """tls.crt, tls.key and ca.crt for calls to the extender."""
    namespace: str = "k40s-system"
    """Where the Leases are: the daemons' and its own. The manifests set it to the pod's own."""
    identity: str = "k40s-controller"
    """Its name as leader, another one for each replica. The manifests set it to the pod's name."""
    leader_lease: Nanoseconds = Nanoseconds(15 * NS_PER_S)
    """A leader that has not renewed its Lease for so long is replaced; at least 3s."""
    host: Host = EVERY_ADDRESS
    """Where the probes listen: `::` is every address, of IPv4 and of IPv6."""
    probe_port: Port = Port(8446)
    """Port of /healthz, /readyz and /metrics (plain HTTP)."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty means the pod's service account."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""

    def __post_init__(self) -> None:
        try:
            _ = self.policy
        except ValueError as error:
            raise ValueError(f"K40S_MIGRATION_*, K40S_MIGRATIONS_PER_*: {error}") from error
        try:
            _ = self.preemption_policy
        except ValueError as error:
            raise ValueError(f"K40S_PREEMPTION_*: {error}") from error
        try:
            _ = self.eviction
        except ValueError as error:
            raise ValueError(f"K40S_EVICTIONS_PER_HOUR: {error}") from error
        _ = parse_runtime_classes(self.runtime_classes)
        if self.leader_lease < _SHORTEST_LEASE:
            raise ValueError("K40S_LEADER_LEASE: expected at least 3s")
        if self.migration_retry <= 0 or self.extender_timeout <= 0:
            raise ValueError("K40S_MIGRATION_RETRY and K40S_EXTENDER_TIMEOUT are above 0s")
        if not self.identity or not self.extender_service:
            raise ValueError(
                "K40S_IDENTITY and K40S_EXTENDER_SERVICE: found nothing, expected names"
            )

    @property
    def policy(self) -> MigrationPolicy:
        """The limits. Raises ``ValueError``."""
        return MigrationPolicy(
            thresholds=Thresholds(low=self.low_threshold, high=self.high_threshold),
            hold_off=self.migration_hold_off,
            interval=self.migration_interval,
            per_hour=self.migrations_per_hour,
            per_namespace=self.migrations_per_namespace,
            owner_cooldown=self.migration_owner_cooldown,
            rest=self.migration_rest,
            pod_cooldown=self.migration_pod_cooldown,
            surge_timeout=self.migration_surge_timeout,
        )

    @property
    def preemption_policy(self) -> PreemptionPolicy:
        """The limits of preemption. Raises ``ValueError``."""
        return PreemptionPolicy(
            hold_off=self.preemption_hold_off,
            interval=self.preemption_interval,
            per_hour=self.preemption_victims_per_hour,
            namespace_per_hour=self.preemption_namespace_victims_per_hour,
            claim=self.preemption_claim,
            settle=self.preemption_settle,
            retry=self.preemption_retry,
            rest=self.preemption_rest,
        )

    @property
    def eviction(self) -> EvictionPolicy:
        """The limits of the eviction of culprits. Raises ``ValueError``."""
        return EvictionPolicy(enabled=self.evict_culprits, per_hour=self.evictions_per_hour)
