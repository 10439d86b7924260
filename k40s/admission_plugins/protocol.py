"""A schedulability test's question and answer as JSON, for a test that runs in another process.

Reservations have the form of ``node_api.allocation``, times carry their unit, fractions are exact.
Reading gives a value or raises ``InvalidInputError``, never else.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from k40s.annotations.reserve import format_reserve, read_reserve
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    Packing,
    PodDemand,
    Reservation,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.errors import InvalidInputError
from k40s.node_api.allocation import (
    read_real_time_criticality,
    read_resolved_task,
    read_server,
    resolved_task_json,
    server_json,
)
from k40s.reasons import Reason
from k40s.strict_json import Json, format_json, read_json
from k40s.units import Nanoseconds, format_duration

MAX_TEXT = 4 << 20
"""Longest question or answer, in characters: far more than a node's 1024 reservations take."""
MAX_DETAIL = 1000
_MOST = 4096
_NAME = re.compile(r"[ -~]{0,253}", re.ASCII)
_ANYTHING = re.compile(r"(?s:.*)")
T = TypeVar("T")


def format_question(node: CpuNode, demand: PodDemand) -> str:
    """One line. Raises ``ValueError`` for what JSON cannot carry."""
    offer, nested = node.deadline, node.ancestor_period
    return format_json(
        {
            "node": {
                "cores": list(node.cores),
                "tick": format_duration(node.tick),
                "node_capacity": str(node.node_capacity),
                "core_capacity": str(node.core_capacity),
                "platform": node.platform,
                "platform_factor": str(node.platform_factor),
                "shared_groups": node.shared_groups,
                "ancestor_period": nested and format_duration(nested),
                "packing": node.packing.value,
                "hi_reserve": None if node.hi_reserve is None else format_reserve(node.hi_reserve),
                "deadline": None
                if offer is None
                else {
                    "tick": format_duration(offer.tick),
                    "capacity": str(offer.capacity),
                    "domain": offer.domain.value,
                    "cpus": offer.cpus,
                    "delay": format_duration(offer.delay),
                },
                "reservations": [_held_json(held) for held in node.reservations],
            },
            "demand": {
                "pod_uid": demand.pod_uid,
                "criticality": demand.criticality.name,
                "mechanism": None if demand.mechanism is None else demand.mechanism.value,
                "containers": [
                    {
                        "container": part.container,
                        "tasks": [resolved_task_json(task) for task in part.tasks],
                    }
                    for part in demand.containers
                ],
            },
        }
    )


def parse_question(text: str) -> tuple[CpuNode, PodDemand]:
    """Read such a line."""
    whole = _read(text, "question")
    field = whole.fields(("node", "demand"))
    return _checked(whole, lambda: (_read_node(field["node"]), _read_demand(field["demand"])))


def format_outcome(outcome: Admission | Rejection) -> str:
    """One line: of the node, only what the test may change is written."""
    match outcome:
        case Admission():
            written: dict[str, object] = {
                "reservations": [_held_json(held) for held in outcome.node.reservations],
                "granted": [_held_json(held) for held in outcome.granted],
            }
        case Rejection():
            written = {"reason": outcome.reason.value, "detail": outcome.detail[:MAX_DETAIL]}
    return format_json(written)


def parse_outcome(text: str, node: CpuNode) -> Admission | Rejection:
    """Read such a line; ``node`` is the one that was asked about."""
    whole = _read(text, "answer")
    if "reason" in whole.members():
        field = whole.fields(("reason", "detail"))
        detail = field["detail"].text(_ANYTHING, "a text")[:MAX_DETAIL]
        return Rejection(reason=field["reason"].member_of(Reason), detail=detail)
    field = whole.fields(("reservations", "granted"))
    return _checked(
        whole,
        lambda: Admission(
            node=node.holding(_read_all(field["reservations"])), granted=_read_all(field["granted"])
        ),
    )


def _read(text: str, source: str) -> Json:
    return read_json(text, source=source, error=InvalidInputError, at_most=MAX_TEXT)


def _checked(whole: Json, make: Callable[[], T]) -> T:
    """A value that its constructor refuses is malformed as well."""
    try:
        return make()
    except ValueError as error:
        raise whole.invalid("values that agree", found=str(error)) from None


def _held_json(held: Reservation) -> dict[str, object]:
    return {
        "pod_uid": held.pod_uid,
        "criticality": held.criticality.name,
        "server": server_json(held),
    }


def _read_all(place: Json) -> tuple[Reservation, ...]:
    return tuple(_read_held(held) for held in place.items(at_most=_MOST))


def _read_held(place: Json) -> Reservation:
    field = place.fields(("pod_uid", "criticality", "server"))
    return read_server(
        field["server"],
        pod_uid=field["pod_uid"].text(_NAME, "a pod's uid"),
        criticality=read_real_time_criticality(field["criticality"]),
    )


def _read_node(place: Json) -> CpuNode:
    field = place.fields(
        (
            *("cores", "tick", "node_capacity", "core_capacity", "platform", "platform_factor"),
            *("shared_groups", "ancestor_period", "packing", "hi_reserve", "deadline"),
            "reservations",
        )
    )
    nested, reserve = field["ancestor_period"], field["hi_reserve"]
    return CpuNode(
        cores=tuple(core.integer(0, _MOST * _MOST) for core in field["cores"].items(at_most=_MOST)),
        tick=_read_tick(field["tick"]),
        node_capacity=field["node_capacity"].fraction(),
        core_capacity=field["core_capacity"].fraction(),
        platform=field["platform"].text(_NAME, "a platform's name"),
        platform_factor=field["platform_factor"].fraction(),
        reservations=_read_all(field["reservations"]),
        shared_groups=field["shared_groups"].boolean(),
        ancestor_period=None if nested.value is None else nested.duration(),
        deadline=None if field["deadline"].value is None else _read_offer(field["deadline"]),
        packing=field["packing"].member_of(Packing),
        hi_reserve=None if reserve.value is None else read_reserve(reserve),
    )


def _read_offer(place: Json) -> DeadlineOffer:
    field = place.fields(("tick", "capacity", "domain", "cpus", "delay"))
    return DeadlineOffer(
        tick=_read_tick(field["tick"]),
        capacity=field["capacity"].fraction(),
        domain=field["domain"].member_of(Domain),
        cpus=field["cpus"].integer(1, _MOST),
        delay=_read_tick(field["delay"]),
    )


def _read_demand(place: Json) -> PodDemand:
    field = place.fields(("pod_uid", "criticality", "mechanism", "containers"))
    wanted = field["mechanism"]
    containers = field["containers"].items(at_most=_MOST)
    return PodDemand(
        pod_uid=field["pod_uid"].text(_NAME, "a pod's uid"),
        criticality=read_real_time_criticality(field["criticality"]),
        containers=tuple(_read_container(part) for part in containers),
        mechanism=None if wanted.value is None else wanted.member_of(Mechanism),
    )


def _read_container(place: Json) -> ContainerDemand:
    field = place.fields(("container", "tasks"))
    tasks = field["tasks"].items(at_least=1, at_most=_MOST)
    return ContainerDemand(
        container=field["container"].text(_NAME, "a container's name"),
        tasks=tuple(read_resolved_task(task) for task in tasks),
    )


def _read_tick(place: Json) -> Nanoseconds:
    return Nanoseconds(0) if place.value == format_duration(Nanoseconds(0)) else place.duration()
