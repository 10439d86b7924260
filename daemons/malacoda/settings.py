"""Malacoda's settings, from environment variables K40S_*."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from daemons.malacoda.actuator.mode import CulpritMode
from k40s.assurance.gamma import HIGHEST, GammaPolicy
from k40s.assurance.level import Thresholds
from k40s.assurance.profile import LONGEST_PERIOD, SHORTEST_PERIOD
from k40s.assurance.response.policy import EVERY_RUNG, LEAST_QUOTA, MOST_QUOTA, ResponsePolicy
from k40s.http.listening import EVERY_ADDRESS, Host
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.units import NS_PER_S, Nanoseconds

_HIGHEST_PART = 5
_TIMEOUT_ALONE = Nanoseconds(NS_PER_S)
"""Where nothing acts on a culprit, there is nothing to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per variable: ``node_name`` is K40S_NODE_NAME."""

    node_name: str
    """The Node that this daemon watches (downward API, spec.nodeName)."""
    cpus: tuple[int, ...] = ()
    """The node's CPUs, such as "1" or "2-3,6"; empty means all that are online."""
    sampling_period: Nanoseconds | None = None
    """Time between two samples, 100ms to 2s; without it that of the profile, or it follows β."""
    profile_path: Path | None = None
    """The profile of rules: a file, or a directory in which the Node's label chooses one."""
    low_threshold: int = 7
    """The least level for LOW workloads; names the class in the label."""
    high_threshold: int = 14
    """The least level for HI workloads; names the class in the label."""
    hardware_assurance: int = 0
    """α (0..5) of a node that has no annotation k40s.io/hardware-assurance."""
    gamma_timeout: Nanoseconds | None = None
    """How long a hazard lasts before γ falls; by default 10s where something acts on its culprit,
    else 1s."""
    gamma_alarm: int = 5
    """Where γ falls by an alarm alone (0..9); by harm it falls to 3, by missed deadlines to 0."""
    gamma_quiet: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """Calm before γ rises by 5, and again every 10s; doubles with each relapse."""
    gamma_longest_quiet: Nanoseconds = Nanoseconds(900 * NS_PER_S)
    """The longest calm that relapses make necessary."""
    lease: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """How long the published level is good for without a heartbeat."""
    lease_namespace: str = "k40s-system"
    """The namespace of the heartbeat's Lease. The manifests set it to the pod's own."""
    proc_path: Path = Path("/proc")
    """Where the host's /proc is seen."""
    sys_path: Path = Path("/sys")
    """Where the host's /sys is seen."""
    cgroup_path: Path = Path("/sys/fs/cgroup")
    """Where the host's cgroups are seen: the hierarchies of v1 below it, or the one of v2."""
    cgroup_root: str = "/"
    """Kubelet's cgroupRoot, whichever its cgroup driver."""
    overruns_path: Path | None = None
    """The file in which the node's rubicante counts overruns by pod; without it none is read."""
    culprit: CulpritMode = CulpritMode.NAME
    """The response to a hazard: `off`; `name`: events name the pod that causes it; `throttle`: it
    gets a CPU quota as well; `move`: it leaves the CPUs of critical threads, where the quota does
    not help and there are others; `freeze`: it is frozen where that does not help; `evict`: the
    controller is asked to evict one that brings the hazard back; `kill`: and one that is not
    evicted is killed (cgroup v2)."""
    culprit_quota: Fraction = Fraction(1, 10)
    """What a throttled pod keeps, in CPUs (0.01 to 1): the share of time for which its harm to
    real-time tasks goes on."""
    actuator_socket: Path = Path("/run/k40s/actuator.sock")
    """The Unix socket between the monitor and the actuator."""
    actuator_silence: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """Everything is undone when the monitor has said nothing for so long."""
    listen_host: Host = EVERY_ADDRESS
    """Where the probes listen: `::` is every address, of IPv4 and of IPv6."""
    probe_port: Port = Port(8452)
    """Probes and metrics, plain HTTP."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""
    kubeconfig: str = ""
    """A kubeconfig file; without one, the pod's service account is used."""

    def __post_init__(self) -> None:
        period = self.sampling_period
        if period is not None and not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
            raise ValueError("K40S_SAMPLING_PERIOD is at least 100ms and at most 2s")
        if not 0 <= self.hardware_assurance <= _HIGHEST_PART:
            raise ValueError("K40S_HARDWARE_ASSURANCE lies in 0 to 5")
        if not 0 <= self.gamma_alarm < HIGHEST:
            raise ValueError("K40S_GAMMA_ALARM lies in 0 to 9")
        if not self.gamma_quiet <= self.gamma_longest_quiet:
            raise ValueError("K40S_GAMMA_QUIET is at most K40S_GAMMA_LONGEST_QUIET")
        if self.lease < NS_PER_S:
            raise ValueError("K40S_LEASE lasts at least 1s")
        if ".." in self.cgroup_root.split("/"):
            raise ValueError("K40S_CGROUP_ROOT is a path from the top, without ..")
        if self.culprit.acts and 2 * (period or LONGEST_PERIOD) > self.actuator_silence:
            raise ValueError("K40S_ACTUATOR_SILENCE is at least twice K40S_SAMPLING_PERIOD, or 4s")
        if not LEAST_QUOTA <= self.culprit_quota <= MOST_QUOTA:
            raise ValueError("K40S_CULPRIT_QUOTA lies in 0.01 to 1")
        _ = self.thresholds, self.policy

    @property
    def thresholds(self) -> Thresholds:
        """The least levels by criticality."""
        return Thresholds(low=self.low_threshold, high=self.high_threshold)

    @property
    def response(self) -> ResponsePolicy:
        """The policy by which culprits are treated: the steps that the mode allows."""
        allowed = self.culprit.steps
        rungs = tuple(rung for rung in EVERY_RUNG if rung.step in allowed)
        return ResponsePolicy(rungs=rungs, quota=self.culprit_quota)

    @property
    def policy(self) -> GammaPolicy:
        """The policy by which hazards change γ."""
        usual = GammaPolicy()
        timeout = self.gamma_timeout
        if timeout is None:
            timeout = usual.timeout if self.culprit.acts else _TIMEOUT_ALONE
        return replace(
            usual,
            timeout=timeout,
            alarm=self.gamma_alarm,
            harmed=min(usual.harmed, self.gamma_alarm),
            quiet=self.gamma_quiet,
            longest_quiet=self.gamma_longest_quiet,
            forgiven=max(usual.forgiven, self.gamma_longest_quiet),
        )
