"""Scarmiglione's settings, from environment variables K40S_*."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from k40s.http.listening import EVERY_ADDRESS, Host, format_authority
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.units import NS_PER_S, Nanoseconds


class NetworkBackEnd(StrEnum):
    """What keeps slots on the node's stations."""

    AUTO = "auto"
    """RTnet's alone, by its command where that is there, otherwise by ioctl.

    It never finds ``taprio`` and ``none``: the operator names them.
    """
    TDMACFG = "tdmacfg"
    IOCTL = "ioctl"
    TAPRIO = "taprio"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per variable: ``node_name`` is K40S_NODE_NAME."""

    node_name: str
    """The Node that this daemon serves (downward API, spec.nodeName)."""
    pod_ip: Host
    """The address at which the extender reaches the API (downward API, status.podIP)."""
    network_back_end: NetworkBackEnd = NetworkBackEnd.AUTO
    """What keeps slots: tdmacfg, ioctl, taprio or none. auto finds RTnet only; name the others."""
    proc_path: Path = Path("/proc")
    """Where the host's /proc is seen: RTnet and Xenomai show themselves there."""
    sys_path: Path = Path("/sys")
    """Where the host's /sys is seen."""
    tdma_last_slot: int = 7
    """The largest slot id of RTnet's stations: what they were attached with (tdmacfg -i)."""
    tdmacfg_path: Path = Path("/usr/xenomai/sbin/tdmacfg")
    """RTnet's command."""
    store: Path = Path("/var/lib/k40s/scarmiglione.sqlite")
    """The book of slots."""
    lease: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """How long the published state is good for without a heartbeat."""
    reservation_lease: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """How long slots wait for a Network's status to hold them."""
    lease_namespace: str = "k40s-system"
    """The namespace of the heartbeat's Lease. The manifests set it to the pod's own."""
    tls_directory: Path = Path("/etc/k40s/tls")
    """Holds tls.crt, tls.key and ca.crt."""
    allowed_clients: tuple[str, ...] = ("k40s-extender",)
    """Common names of the clients that may use the API."""
    listen_host: Host = EVERY_ADDRESS
    """Where API and probes listen: `::` is every address, of IPv4 and of IPv6."""
    port: Port = Port(8447)
    """The API, with mutual TLS."""
    probe_port: Port = Port(8448)
    """Probes and metrics, plain HTTP."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""
    kubeconfig: str = ""
    """A kubeconfig file; without one, the pod's service account is used."""

    def __post_init__(self) -> None:
        if "%" in self.pod_ip or self.pod_ip in ("::", "0.0.0.0"):  # noqa: S104  # refused
            raise ValueError(f"K40S_POD_IP: found {self.pod_ip!r}, expected the pod's own address")
        if not _FIRST_SLOT <= self.tdma_last_slot <= _LAST_SLOT:
            raise ValueError(
                f"K40S_TDMA_LAST_SLOT: found {self.tdma_last_slot}, "
                f"expected {_FIRST_SLOT} to {_LAST_SLOT}"
            )
        if self.lease < NS_PER_S or self.reservation_lease < NS_PER_S:
            raise ValueError("K40S_LEASE and K40S_RESERVATION_LEASE last at least 1s")

    @property
    def endpoint(self) -> str:
        """The API's URL."""
        return f"https://{format_authority(self.pod_ip, self.port)}"


_FIRST_SLOT = 2
"""0 and 1 are not for pods."""
_LAST_SLOT = 65_535
