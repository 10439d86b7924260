"""Whether a pod may be evicted for another one, whatever the extender has planned. No I/O."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum, unique

from k40s.criticality import Criticality


@unique
class Fault(StrEnum):
    """Why a pod is no victim; the text of a log line."""

    UNKNOWN = "its criticality is unknown"
    NOT_LESS = "it is not less critical than the pod that preempts"
    ELSEWHERE = "it does not run on the node of the plan"
    STATIC = "it is a static pod of its node"
    SYSTEM = "its namespace is the system's"
    ITSELF = "it is the pod that preempts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bound pod as this process watches it. ``criticality`` is None where it is unknown."""

    uid: str
    namespace: str
    node: str
    criticality: Criticality | None
    static: bool


def find_fault(
    target: Target, *, preemptor: str, criticality: Criticality, node: str, system: Collection[str]
) -> Fault | None:
    """Why ``target`` may not go for the pod with UID ``preemptor``, None if it may."""
    if target.uid == preemptor:
        return Fault.ITSELF
    if target.criticality is None:
        return Fault.UNKNOWN
    if target.criticality >= criticality:
        return Fault.NOT_LESS
    if target.node != node:
        return Fault.ELSEWHERE
    if target.static:
        return Fault.STATIC
    return Fault.SYSTEM if target.namespace in system else None
