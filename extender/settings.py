"""The extender's settings, from ``K40S_*`` variables (docs/extender.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k40s.assurance.level import Thresholds
from k40s.criticality import Criticality
from k40s.http.listening import EVERY_ADDRESS, Host
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.runtime_classes import parse_runtime_classes
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

_MS = NS_PER_MS
_MOST_THREADS = 256
_LEAST_LEASE = 10 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtenderSettings:
    """All durations together stay below the scheduler's ``httpTimeout`` of 4 s."""

    host: Host = EVERY_ADDRESS
    """Where API and probes listen: `::` is every address, of IPv4 and of IPv6."""
    port: Port = Port(8443)
    """Port of the API (mutual TLS)."""
    probe_port: Port = Port(8444)
    """Port of /healthz, /readyz and /metrics (plain HTTP)."""
    threads: int = 16
    """Calls handled at once."""
    namespace: str = "k40s-system"
    """Where the daemons renew their Leases. The manifests set it to the pod's own."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty means the pod's service account."""
    tls_directory: Path = Path("/etc/k40s/tls")
    """tls.crt, tls.key and ca.crt of the API."""
    client_tls_directory: Path = Path("/etc/k40s/client-tls")
    """tls.crt, tls.key and ca.crt for calls to rubicante and scarmiglione."""
    scheduler_name: str = "k40s-scheduler"
    """Common name of the client that may call all of the API."""
    controller_name: str = "k40s-controller"
    """Common name of the client that may only ask for dry runs and preemption plans."""
    insight_name: str = "k40s-insight"
    """Common name of the client that may only ask for explanations."""
    rubicante_name: str = "rubicante"
    """Name that rubicante's certificate must carry."""
    high_threshold: int = 14
    """Least assurance for HI, 0 to 20."""
    low_threshold: int = 7
    """Least assurance for LOW, 0 to 20."""
    filter_patience: Nanoseconds = Nanoseconds(500 * _MS)
    """Time of one call for admission tests and node queries; then only bandwidth is checked."""
    settling_time: Nanoseconds = Nanoseconds(200 * _MS)
    """Longest wait for the informers when a refused pod is retried without a change of a node."""
    reserve_timeout: Nanoseconds = Nanoseconds(700 * _MS)
    """Bound of one call to rubicante."""
    bind_timeout: Nanoseconds = Nanoseconds(800 * _MS)
    """Bound of the Binding."""
    scarmiglione_name: str = "scarmiglione"
    """Name that scarmiglione's certificate must carry."""
    network_timeout: Nanoseconds = Nanoseconds(400 * _MS)
    """When reserving on the networks of a bind is given up; a request then has 100 ms left."""
    station_timeout: Nanoseconds = Nanoseconds(900 * _MS)
    """Bound of one call to scarmiglione, which may wait 0.5 s for its own watch of Networks."""
    network_lease: Nanoseconds = Nanoseconds(60 * NS_PER_S)
    """How long a network's or a tenant's reservation holds for a pod that does not get bound."""
    tenant_timeout: Nanoseconds = Nanoseconds(300 * _MS)
    """When reserving at the pod's Tenant is given up; a request then has 100 ms left."""
    runtime_classes: tuple[str, ...] = ()
    """RuntimeClass that pods of a criticality must have: `HI=kata,LOW=runc`. None by default."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""

    def __post_init__(self) -> None:
        _ = self.thresholds
        _ = self.classes
        if not 1 <= self.threads <= _MOST_THREADS:
            raise ValueError(
                f"K40S_THREADS: found {self.threads}, expected 1 to {_MOST_THREADS} threads"
            )
        if self.controller_name == self.scheduler_name:
            raise ValueError(
                f"K40S_CONTROLLER_NAME: found {self.controller_name!r}, "
                "expected another name than K40S_SCHEDULER_NAME, whose client may bind"
            )
        if self.insight_name in (self.scheduler_name, self.controller_name):
            raise ValueError(
                f"K40S_INSIGHT_NAME: found {self.insight_name!r}, "
                "expected another name than those of the scheduler and the controller"
            )
        if self.reserve_timeout <= 0 or self.bind_timeout <= 0:
            raise ValueError("K40S_RESERVE_TIMEOUT and K40S_BIND_TIMEOUT are above 0s")
        if self.network_timeout <= 0 or self.station_timeout <= 0:
            raise ValueError("K40S_NETWORK_TIMEOUT and K40S_STATION_TIMEOUT are above 0s")
        if self.tenant_timeout <= 0:
            raise ValueError("K40S_TENANT_TIMEOUT is above 0s")
        if self.network_lease < _LEAST_LEASE:
            raise ValueError(
                f"K40S_NETWORK_LEASE: found {self.network_lease / NS_PER_S:g}s, "
                "expected 10s or longer, because a bind that is still under way must not lose it"
            )

    @property
    def classes(self) -> Mapping[Criticality, str]:
        """The RuntimeClass of each criticality that needs one."""
        return parse_runtime_classes(self.runtime_classes)

    @property
    def thresholds(self) -> Thresholds:
        """The least level of each criticality."""
        return Thresholds(low=self.low_threshold, high=self.high_threshold)
