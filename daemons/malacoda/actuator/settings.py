"""The actuator's settings, from environment variables K40S_*. Some are the monitor's as well."""

from dataclasses import dataclass
from pathlib import Path

from daemons.malacoda.actuator.gate import GatePolicy
from daemons.malacoda.actuator.mode import CulpritMode
from k40s.assurance.response.acts import Step
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel
from k40s.units import NS_PER_S, Nanoseconds

_LEAST_SILENCE = Nanoseconds(NS_PER_S)
_HIGHEST_USER = 2**32 - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuatorSettings:
    """One field per variable: ``pod_uid`` is K40S_POD_UID."""

    pod_uid: str = ""
    """The UID of the actuator's own pod (downward API, metadata.uid), which it never touches."""
    culprit: CulpritMode = CulpritMode.NAME
    """The acts that are allowed, whatever the monitor asks for: `throttle`; `move` and `freeze`
    each one more; `evict` none more than that, as the controller evicts; `kill` all. With `off` and
    `name` there is none."""
    cgroup_path: Path = Path("/sys/fs/cgroup")
    """Where the host's cgroups are seen: the hierarchies of v1 below it, or the one of v2."""
    cgroup_root: str = "/"
    """Kubelet's cgroupRoot, whichever its cgroup driver."""
    overruns_path: Path | None = None
    """The file in which the node's rubicante counts overruns by pod: a pod in it is not frozen."""
    actuator_socket: Path = Path("/run/k40s/actuator.sock")
    """The Unix socket between the monitor and the actuator."""
    actuator_peer: int = 65532
    """The user that may connect: the monitor's."""
    actuator_silence: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """Everything is undone when the monitor has said nothing for so long."""
    actuator_holds: int = 3
    """Pods that are held at once, whatever the monitor asks for."""
    actuator_acts: int = 12
    """Acts in an hour, undoing aside, whatever the monitor asks for."""
    actuator_store: Path = Path("/var/lib/k40s/holds.sqlite")
    """What is held, with the values to restore; on the node's disk, so that it outlives the pod."""
    dry_run: bool = False
    """`true`: log and answer as if, write to no cgroup."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""

    def __post_init__(self) -> None:
        if ".." in self.cgroup_root.split("/"):
            raise ValueError("K40S_CGROUP_ROOT is a path from the top, without ..")
        if not 0 <= self.actuator_peer <= _HIGHEST_USER:
            raise ValueError("K40S_ACTUATOR_PEER is a user's number")
        if self.actuator_silence < _LEAST_SILENCE:
            raise ValueError("K40S_ACTUATOR_SILENCE lasts at least 1s")
        if self.actuator_holds < 1 or self.actuator_acts < 1:
            raise ValueError("K40S_ACTUATOR_HOLDS and K40S_ACTUATOR_ACTS are at least 1")

    @property
    def gate(self) -> GatePolicy:
        """The limits of the gate."""
        return GatePolicy(
            allowed=self.culprit.steps - {Step.EVICT},
            own_pod=self.pod_uid,
            most_held=self.actuator_holds,
            acts_per_hour=self.actuator_acts,
        )
