"""Insight's settings, from ``K40S_*`` variables (docs/insight.md)."""

from dataclasses import dataclass
from pathlib import Path

from k40s.assurance.level import Thresholds
from k40s.http.listening import EVERY_ADDRESS, Host
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.units import NS_PER_S, Nanoseconds

_MOST_THREADS = 256
_MOST_STREAMS = 1000
_LEAST_SESSION = 60 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightSettings:
    """Limits are those of one replica."""

    host: Host = EVERY_ADDRESS
    """Where API and probes listen: `::` is every address, of IPv4 and of IPv6."""
    port: Port = Port(8443)
    """Port of the page and the API (TLS; no client certificate)."""
    probe_port: Port = Port(8444)
    """Port of /healthz, /readyz and /metrics (plain HTTP)."""
    threads: int = 8
    """Requests answered at once; a stream takes none."""
    token_audiences: tuple[str, ...] = ()
    """A token has to be for one of these; by default for the API server, as kubectl's are."""
    session_lifetime: Nanoseconds = Nanoseconds(28_800 * NS_PER_S)
    """A browser's session ends after so long, and earlier with its token; at least 60s."""
    streams: int = 64
    """Most live pages at once, 1 to 1000."""
    streams_per_user: int = 8
    """Most live pages of one user at once."""
    namespace: str = "k40s-system"
    """Where the daemons renew their Leases. The manifests set it to the pod's own."""
    extender_service: str = "k40s-extender"
    """Host name of the extender. The manifests set it to the Service's name."""
    extender_port: Port = Port(8443)
    """Port of the extender's API."""
    extender_name: str = "k40s-extender"
    """Name that the extender's certificate must carry."""
    extender_timeout: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """Bound of one explanation."""
    high_threshold: int = 14
    """Least assurance for HI, 0 to 20; as the extender has it."""
    low_threshold: int = 7
    """Least assurance for LOW, 0 to 20; as the extender has it."""
    tls_directory: Path = Path("/etc/k40s/tls")
    """tls.crt, tls.key and ca.crt of the page and the API."""
    client_tls_directory: Path = Path("/etc/k40s/client-tls")
    """tls.crt, tls.key and ca.crt for calls to the extender."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty means the pod's service account."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""

    def __post_init__(self) -> None:
        _ = self.thresholds
        if not 1 <= self.threads <= _MOST_THREADS:
            raise ValueError(
                f"K40S_THREADS: found {self.threads}, expected 1 to {_MOST_THREADS} threads"
            )
        if not 1 <= self.streams <= _MOST_STREAMS:
            raise ValueError(f"K40S_STREAMS: found {self.streams}, expected 1 to {_MOST_STREAMS}")
        if not 1 <= self.streams_per_user <= self.streams:
            raise ValueError(
                f"K40S_STREAMS_PER_USER: found {self.streams_per_user}, expected 1 to "
                f"{self.streams}, which is K40S_STREAMS"
            )
        if self.session_lifetime < _LEAST_SESSION:
            raise ValueError("K40S_SESSION_LIFETIME: found less than 60s, expected 60s or longer")
        if self.extender_timeout <= 0:
            raise ValueError("K40S_EXTENDER_TIMEOUT: expected a duration above 0s")

    @property
    def thresholds(self) -> Thresholds:
        """The least level of each criticality."""
        return Thresholds(low=self.low_threshold, high=self.high_threshold)
