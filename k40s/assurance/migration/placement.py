"""Whether kube-scheduler's own filters could let a pod onto a node: a necessary condition.

The extender is asked about nodes that have passed these filters, as kube-scheduler asks it. Checked
are node selector, required node affinity, taints and the CPU request. Memory, volumes, other pods'
affinity, topology spread and ports are not: a surge finds out, because the old pod serves until the
new one is ready.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_EFFECTS = ("NoSchedule", "NoExecute")
_NAME = "metadata.name"


class Misfit(StrEnum):
    """Why a node is out of the question; the text of an event."""

    SELECTOR = "its labels do not match the pod's node selector or affinity"
    TAINT = "it has a taint that the pod does not tolerate"
    CPU = "it has too little unrequested CPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A toleration of a pod; an empty ``key`` or ``effect`` matches every one."""

    key: str
    exists: bool
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """Whether it allows this taint."""
        if self.effect and self.effect != taint.effect:
            return False
        if not self.key:
            return self.exists
        return self.key == taint.key and (self.exists or self.value == taint.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One expression of a node affinity; ``key`` is a label, or ``metadata.name``."""

    key: str
    operator: str
    values: tuple[str, ...]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels satisfies it; an unknown operator is satisfied."""
        found = labels.get(self.key)
        match self.operator:
            case "In":
                return found in self.values
            case "NotIn":
                return found not in self.values
            case "Exists":
                return found is not None
            case "DoesNotExist":
                return found is None
            case "Gt" | "Lt":
                return self._compares(found)
            case _:
                return True

    def _compares(self, found: str | None) -> bool:
        try:
            difference = int(found or "") - int(self.values[0])
        except (ValueError, IndexError):
            return False
        return difference > 0 if self.operator == "Gt" else difference < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a pod asks of its node. ``affinity`` has alternatives; none at all means no demand."""

    cpu_millis: int
    selector: Mapping[str, str]
    affinity: tuple[tuple[Requirement, ...], ...] = ()
    tolerations: tuple[Toleration, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOffer:
    """What a node offers to pods."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    cpu_millis: int


def find_misfit(pod: Constraints, node: NodeOffer, requested_millis: int) -> Misfit | None:
    """Why the node cannot take the pod, None if it may. ``requested_millis``: by its pods."""
    labels = {**node.labels, _NAME: node.name}
    if any(labels.get(key) != value for key, value in pod.selector.items()):
        return Misfit.SELECTOR
    if pod.affinity and not any(
        term and all(one.holds(labels) for one in term) for term in pod.affinity
    ):
        return Misfit.SELECTOR
    for taint in node.taints:
        if taint.effect in _EFFECTS and not any(one.tolerates(taint) for one in pod.tolerations):
            return Misfit.TAINT
    if pod.cpu_millis and requested_millis + pod.cpu_millis > node.cpu_millis:
        return Misfit.CPU
    return None
