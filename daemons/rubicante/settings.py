"""Rubicante's settings, from environment variables K40S_*."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from k40s.annotations.reserve import RESERVE_FORM, parse_reserve
from k40s.cpu.model import Mechanism, Packing, Server
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.http.listening import EVERY_ADDRESS, Host, format_authority
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.units import NS_PER_S, Nanoseconds

NO_RESERVE = "none"


class Groups(StrEnum):
    """Which reservations a budget group serves."""

    SHARED = "shared"
    """One reservation on each core."""
    CONTAINER = "container"
    """The container whose own cgroup it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per variable: ``node_name`` is K40S_NODE_NAME."""

    node_name: str
    """The Node that this daemon serves (downward API, spec.nodeName)."""
    pod_ip: Host
    """The address at which the extender reaches the API (downward API, status.podIP)."""
    cpus: tuple[int, ...]
    """CPUs that real-time reservations may use, such as "1" or "2-3,6"."""
    cgroup_root: str = "/"
    """Kubelet's cgroupRoot, whichever its cgroup driver."""
    cpu_cgroup_path: Path = Path("/sys/fs/cgroup/cpu")
    """Where the v1 cpu hierarchy of the host is mounted, writable."""
    cpuset_cgroup_path: Path = Path("/sys/fs/cgroup/cpuset")
    """Where the v1 cpuset hierarchy of the host is mounted; used with K40S_LOAD_BALANCE_OFF."""
    unified_cgroup_path: Path = Path("/sys/fs/cgroup")
    """Where cgroup v2 of the host is mounted; used where there is no v1 cpu hierarchy."""
    proc_path: Path = Path("/proc")
    """Where the host's processes are seen."""
    scheduler_debug_path: Path = Path("/sys/kernel/debug/sched")
    """The scheduler's directory in debugfs; where it cannot be read, the defaults are assumed."""
    overruns_path: Path | None = None
    """The file in which overruns are counted by pod, for malacoda; without it none is written."""
    mechanisms: tuple[str, ...] = ("rt-cgroup", "deadline")
    """What may enforce budgets, where the kernel can: rt-cgroup, deadline."""
    groups: Groups = Groups.SHARED
    """Where budgets are: in groups shared between cores, or in the container's own cgroup."""
    packing: Packing = Packing.FIRST_FIT
    """Which core is tried first: first-fit, best-fit or worst-fit."""
    load_balance_off: bool = False
    """Permission to switch off load balancing in v1 cpusets, for DEADLINE on single cores."""
    hrtick: bool = False
    """Permission to switch on the scheduler feature HRTICK_DL, which ends SCHED_DEADLINE budgets on
    time instead of at a tick."""
    admission_test: str = ADMISSION_TEST
    """The schedulability test; another than the default is one that is installed."""
    rt_capacity: Fraction = Fraction(95, 100)
    """Bound of the sum of budget over period on the whole node; the kernel's may be less."""
    core_capacity: Fraction = Fraction(9, 10)
    """Upper bound of the sum of budget over period on each core."""
    hi_reserve: str = "20ms/100ms"
    """A HI task, WCET/period, that LOW pods leave room for: C/T of each core, and all that the task
    needs somewhere on the node. "none" keeps no room."""
    exchange: bool = True
    """Where a pod has no room, exchange servers of running pods for others that leave it room."""
    group_prefix: str = "k40s-rt"
    """Prefix of the names of all budget groups; unique among daemons on one kernel."""
    tick: Nanoseconds | None = None
    """Granularity of the kernel's enforcement; measured when not given."""
    store: Path = Path("/var/lib/k40s/rubicante.sqlite")
    """The book of reservations."""
    lease: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """How long the published state is good for without a heartbeat."""
    reservation_lease: Nanoseconds = Nanoseconds(60 * NS_PER_S)
    """How long a reservation waits for its pod to be bound here."""
    lease_namespace: str = "k40s-system"
    """The namespace of the heartbeat's Lease. The manifests set it to the pod's own."""
    tls_directory: Path = Path("/etc/k40s/tls")
    """Holds tls.crt, tls.key and ca.crt."""
    allowed_clients: tuple[str, ...] = ("k40s-extender",)
    """Common names of the clients that may use the API."""
    listen_host: Host = EVERY_ADDRESS
    """Where API and probes listen: `::` is every address, of IPv4 and of IPv6."""
    port: Port = Port(8441)
    """The API, with mutual TLS."""
    probe_port: Port = Port(8442)
    """Probes and metrics, plain HTTP."""
    dry_run: bool = False
    """Log what would be written to the kernel instead; the node then counts as not real-time."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""
    kubeconfig: str = ""
    """A kubeconfig file; without one, the pod's service account is used."""

    def __post_init__(self) -> None:
        if not self.cpus:
            raise ValueError("K40S_CPUS names no CPU")
        if ".." in self.cgroup_root.split("/"):
            raise ValueError("K40S_CGROUP_ROOT is a path from the top, without ..")
        if "%" in self.pod_ip or self.pod_ip in ("::", "0.0.0.0"):  # noqa: S104  # refused
            raise ValueError(f"K40S_POD_IP: found {self.pod_ip!r}, expected the pod's own address")
        unknown = set(self.mechanisms) - {mechanism.value for mechanism in Mechanism}
        if unknown or not self.mechanisms:
            raise ValueError(f"K40S_MECHANISMS names {sorted(unknown)}, not rt-cgroup or deadline")
        if self.rt_capacity < 0 or not 0 <= self.core_capacity <= 1:
            raise ValueError("K40S_RT_CAPACITY and K40S_CORE_CAPACITY are shares from 0")
        try:
            _ = self.reserve
        except ValueError as error:
            text = f'K40S_HI_RESERVE: found {self.hi_reserve!r}, expected "none" or {RESERVE_FORM}'
            raise ValueError(text) from error
        if self.lease < NS_PER_S or self.reservation_lease < NS_PER_S:
            raise ValueError("K40S_LEASE and K40S_RESERVATION_LEASE last at least 1s")

    @property
    def reserve(self) -> Server | None:
        """The room that is kept for HI. Raises ``ValueError``."""
        return None if self.hi_reserve == NO_RESERVE else parse_reserve(self.hi_reserve)

    @property
    def endpoint(self) -> str:
        """The API's URL."""
        return f"https://{format_authority(self.pod_ip, self.port)}"
