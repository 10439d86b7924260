"""Who holds what is in the way: reservations of the CPU and their pods."""

from collections.abc import Iterable, Mapping, Sequence

from extender.cache.bound_pods import BoundPod, BoundPods
from k40s.annotations import UID_LENGTH
from k40s.cpu.model import ANY_CORE, Reservation, total_bandwidth
from k40s.explanation.model import Obstacle
from k40s.units import format_duration

MOST = 16
"""Obstacles of one node, besides those that a remedy names."""


def pods_by_prefix(pods: BoundPods, node: str) -> Mapping[str, BoundPod]:
    """The pods of a node by the beginning of their UID; without those that share one."""
    found: dict[str, list[BoundPod]] = {}
    for pod in pods.on(node):
        found.setdefault(pod.uid[:UID_LENGTH], []).append(pod)
    return {prefix: same[0] for prefix, same in found.items() if len(same) == 1}


def held_by_pod(reservations: Iterable[Reservation]) -> Mapping[str, Sequence[Reservation]]:
    """Reservations by the beginning of their pod's UID, the most bandwidth first."""
    found: dict[str, list[Reservation]] = {}
    for held in reservations:
        found.setdefault(held.pod_uid[:UID_LENGTH], []).append(held)
    ranked = sorted(found.items(), key=lambda one: (-total_bandwidth(one[1]), one[0]))
    return dict(ranked)


def cpu_obstacle(prefix: str, held: Sequence[Reservation], pod: BoundPod | None) -> Obstacle:
    """What a pod holds of the CPU; a pod that is not known has the beginning of its UID."""
    return Obstacle(
        namespace="" if pod is None else pod.namespace,
        pod="" if pod is None else pod.name,
        pod_uid=prefix if pod is None else pod.uid,
        criticality=held[0].criticality.name,
        what="; ".join(_server(one) for one in held),
    )


def keep_most(obstacles: Sequence[Obstacle], named: Iterable[BoundPod]) -> tuple[Obstacle, ...]:
    """The first ones, and each pod that a remedy names.

    Whoever may not see a pod is shown neither: the names in texts are found by the obstacles.
    """
    shown = list(obstacles[:MOST])
    further = {one.pod_uid: one for one in obstacles[MOST:]}
    for pod in named:
        if all(one.pod_uid != pod.uid for one in shown):
            shown.append(further.get(pod.uid) or _named(pod))
    return tuple(shown)


def _named(pod: BoundPod) -> Obstacle:
    return Obstacle(
        namespace=pod.namespace,
        pod=pod.name,
        pod_uid=pod.uid,
        criticality="" if pod.criticality is None else pod.criticality.name,
        what=f"runs on {pod.node}",
    )


def pod_name(pod: BoundPod) -> str:
    """The pod's namespace and name."""
    return f"{pod.namespace}/{pod.name}"


def core_name(core: int) -> str:
    """A core as text has it."""
    return "the shared root domain" if core == ANY_CORE else f"core {core}"


def _server(held: Reservation) -> str:
    budget, period = format_duration(held.server.budget), format_duration(held.server.period)
    return f"{core_name(held.core)}: {budget}/{period}"
