"""Malacoda's settings, from environment variables K40S_*."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from k40s.assurance.detector import Rule
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.level import Thresholds
from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

_MIN_PERIOD = Nanoseconds(100 * NS_PER_MS)
_HIGHEST_PART = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per variable: ``node_name`` is K40S_NODE_NAME."""

    node_name: str
    """The Node that this daemon watches (downward API, spec.nodeName)."""
    cpus: tuple[int, ...] = ()
    """The node's CPUs, such as "1" or "2-3,6"; empty means all that are online."""
    sampling_period: Nanoseconds = Nanoseconds(500 * NS_PER_MS)
    """Time between two samples, at least 100ms."""
    low_threshold: int = 7
    """The least level for LOW workloads; names the class in the label."""
    high_threshold: int = 14
    """The least level for HI workloads; names the class in the label."""
    hardware_assurance: int = 0
    """α (0..5) of a node that has no annotation k40s.io/hardware-assurance."""
    system_raise: Fraction = Fraction(1, 2)
    """Share of the node's CPU time in the kernel that is a hazard."""
    system_clear: Fraction = Fraction(3, 10)
    """Share below which that hazard is over."""
    system_trend: Fraction = Fraction(15, 100)
    """Rise of that share per second that is a hazard above the clearing share; 0 for none."""
    run_queue_raise: Fraction = Fraction(6)
    """Runnable tasks per CPU of the node that are a hazard."""
    run_queue_clear: Fraction = Fraction(4)
    """Runnable tasks per CPU below which that hazard is over."""
    run_queue_trend: Fraction = Fraction(2)
    """Rise per second that is a hazard above the clearing number; 0 for none."""
    steal_raise: Fraction = Fraction(0)
    """Share of time taken by the hypervisor that is a hazard; 0 for none."""
    steal_clear: Fraction = Fraction(1, 20)
    """Share below which that hazard is over."""
    alarm_votes: int = 6
    """So many high samples raise an alarm, so many calm ones clear it…"""
    alarm_window: int = 8
    """…among so many last ones."""
    alarm_hold: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """An alarm does not change sooner than this after its last change."""
    gamma_lower_step: int = 5
    """By how much a sustained hazard lowers γ (0..10)."""
    gamma_lower_after: Nanoseconds = Nanoseconds(NS_PER_S)
    """How long an alarm lasts before γ falls."""
    gamma_lower_every: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """How long it lasts before γ falls again."""
    gamma_raise_step: int = 5
    """By how much calm raises γ."""
    gamma_raise_after: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """How long calm lasts before γ rises."""
    gamma_raise_every: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """How long it lasts before γ rises again."""
    lease: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """How long the published level is good for without a heartbeat."""
    lease_namespace: str = "k40s-system"
    """The namespace of the heartbeat's Lease."""
    proc_path: Path = Path("/proc")
    """Where the host's /proc is seen."""
    sys_path: Path = Path("/sys")
    """Where the host's /sys is seen."""
    listen_host: str = "0.0.0.0"  # noqa: S104  # kubelet and Prometheus come from outside the pod
    """The address that the probe port binds."""
    probe_port: int = 8452
    """Probes and metrics, plain HTTP."""
    log_level: str = "info"
    """debug, info, warning or error."""
    kubeconfig: str = ""
    """A kubeconfig file; without one, the pod's service account is used."""

    def __post_init__(self) -> None:
        if self.sampling_period < _MIN_PERIOD:
            raise ValueError("K40S_SAMPLING_PERIOD is at least 100ms")
        if not 0 <= self.hardware_assurance <= _HIGHEST_PART:
            raise ValueError("K40S_HARDWARE_ASSURANCE lies in 0 to 5")
        if self.lease < NS_PER_S:
            raise ValueError("K40S_LEASE lasts at least 1s")
        _ = self.thresholds, self.rules, self.policy

    @property
    def thresholds(self) -> Thresholds:
        """The least levels by criticality."""
        return Thresholds(low=self.low_threshold, high=self.high_threshold)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What is a hazard."""
        chosen = [
            (Metric.CPU_SYSTEM, self.system_raise, self.system_clear, self.system_trend),
            (Metric.RUN_QUEUE, self.run_queue_raise, self.run_queue_clear, self.run_queue_trend),
        ]
        if self.steal_raise:
            chosen.append((Metric.CPU_STEAL, self.steal_raise, self.steal_clear, Fraction(0)))
        return tuple(
            Rule(
                metric=metric,
                raise_at=float(highest),
                clear_at=float(lowest),
                trend=float(trend) if trend else None,
                votes=self.alarm_votes,
                window=self.alarm_window,
                hold=self.alarm_hold,
            )
            for metric, highest, lowest, trend in chosen
        )

    @property
    def policy(self) -> GammaPolicy:
        """How γ follows a hazard."""
        return GammaPolicy(
            lower_step=self.gamma_lower_step,
            lower_after=self.gamma_lower_after,
            lower_every=self.gamma_lower_every,
            raise_step=self.gamma_raise_step,
            raise_after=self.gamma_raise_after,
            raise_every=self.gamma_raise_every,
        )
