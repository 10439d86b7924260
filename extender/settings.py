"""The extender's settings, from ``K40S_*`` variables (docs/extender.md)."""

from dataclasses import dataclass
from pathlib import Path

from k40s.assurance.level import Thresholds
from k40s.units import NS_PER_MS, Nanoseconds

_MS = NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtenderSettings:
    """All durations together stay below the scheduler's ``httpTimeout`` of 2 s."""

    host: str = "0.0.0.0"  # noqa: S104  # a pod's own address
    """Address of the API."""
    port: int = 8443
    """Port of the API (mutual TLS)."""
    probe_port: int = 8444
    """Port of /healthz, /readyz and /metrics (plain HTTP)."""
    threads: int = 16
    """Calls handled at once."""
    namespace: str = "k40s-system"
    """Where the daemons renew their Leases."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty means the pod's service account."""
    tls_directory: Path = Path("/etc/k40s/tls")
    """tls.crt, tls.key and ca.crt of the API."""
    client_tls_directory: Path = Path("/etc/k40s/client-tls")
    """tls.crt, tls.key and ca.crt for calls to rubicante."""
    scheduler_name: str = "k40s-scheduler"
    """Common name of the one client that may call the API."""
    rubicante_name: str = "rubicante.k40s-system.svc"
    """Name that rubicante's certificate must carry."""
    high_threshold: int = 14
    """Least assurance for HI, 0 to 20."""
    low_threshold: int = 7
    """Least assurance for LOW, 0 to 20."""
    filter_patience: Nanoseconds = Nanoseconds(500 * _MS)
    """After so long in one call, the rest is judged by bandwidth alone, and no answer awaited."""
    settling_time: Nanoseconds = Nanoseconds(200 * _MS)
    """Wait so long for news of a node when a refused pod is asked for again without any."""
    reserve_timeout: Nanoseconds = Nanoseconds(700 * _MS)
    """Bound of one call to rubicante."""
    bind_timeout: Nanoseconds = Nanoseconds(800 * _MS)
    """Bound of the Binding."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    def __post_init__(self) -> None:
        _ = self.thresholds

    @property
    def thresholds(self) -> Thresholds:
        """What each criticality needs."""
        return Thresholds(low=self.low_threshold, high=self.high_threshold)
