"""JSON of rubicante's HTTP API, to values and back (docs/http-api.md).

Whatever a body holds, reading gives a value or raises ``InvalidInputError``, never else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from k40s.annotations.reservation_rows import HIGHEST_CORE
from k40s.annotations.workload import read_tasks, task_json
from k40s.cpu.model import ANY_CORE, Mechanism, Reservation
from k40s.cpu.workload import Workload
from k40s.node_api.allocation import (
    core_name,
    format_allocation,
    parse_allocation,
    read_real_time_criticality,
    read_server,
    require_distinct,
    server_json,
)
from k40s.node_api.bodies import (
    MAX_BODY,
    NAMESPACE,
    POD_NAME,
    UID,
    PodRef,
    pod_json,
    read_body,
    read_pod,
    read_reason,
)
from k40s.reasons import Reason
from k40s.strict_json import Json, format_json

__all__ = [
    "MAX_BODY",
    "NAMESPACE",
    "POD_NAME",
    "AdmissionAnswer",
    "PodRef",
    "ReservationRequest",
    "format_admission_answer",
    "format_allocation",
    "format_reservation_request",
    "parse_admission_answer",
    "parse_allocation",
    "parse_reservation_request",
]

MAX_GENERATION = 10**18 - 1

MAX_DETAIL = 2000
MAX_CPUS = 1024
"""Of a node; what its cores use, one by one or together, is no more."""
MAX_GRANTED = 64
_DETAIL = re.compile(rf"(?s:.{{0,{MAX_DETAIL}}})")
_CORE = re.compile(r"0|[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRequest:
    """A pod asks for servers; ``generation`` is the node state that it was admitted by, if any."""

    pod: PodRef
    workload: Workload
    generation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionAnswer:
    """Whether the pod is schedulable, why not, what it got, and the utilization of every core.

    ``reason`` is set exactly when the pod is not schedulable; ``detail`` carries figures or causes.
    ``exchange``: servers of other pods are exchanged first, and ``utilization`` is that of before.
    """

    schedulable: bool
    reason: Reason | None = None
    detail: str = ""
    utilization: Mapping[int, Fraction]
    granted: tuple[Reservation, ...] = ()
    generation: int
    exchange: bool = False

    def __post_init__(self) -> None:
        if self.schedulable != (self.reason is None):
            raise ValueError("a reason is given exactly when the pod is not schedulable")
        if self.exchange and not self.schedulable:
            raise ValueError("servers are exchanged for a pod that is schedulable")


def format_reservation_request(request: ReservationRequest) -> bytes:
    """Write the body of ``PUT /v1/reservations/{pod_uid}`` and ``POST /v1/admission``."""
    written: dict[str, object] = {
        "pod": pod_json(request.pod),
        "criticality": request.workload.criticality.name,
        "tasks": [task_json(task) for task in request.workload.tasks],
    }
    if request.workload.mechanism is not None:
        written["enforcement"] = request.workload.mechanism.value
    if request.generation is not None:
        written["generation"] = request.generation
    return format_json(written).encode()


def parse_reservation_request(
    body: bytes, *, pod_uid: str | None, at_most: int = MAX_BODY, held: bool = False
) -> ReservationRequest:
    """Read such a body; ``pod_uid`` is the one in the request's path, where there is one.

    ``held`` reads what was granted before, which may have more tasks than a new pod.
    Raises ``InvalidInputError``.
    """
    field = read_body(body, "request body", at_most).fields(
        ("pod", "criticality", "tasks"), ("enforcement", "generation")
    )
    pod = read_pod(field["pod"], pod_uid)
    criticality = read_real_time_criticality(field["criticality"])
    tasks = read_tasks(field["tasks"], criticality=criticality, held=held)
    return ReservationRequest(
        pod=pod,
        workload=Workload(
            criticality=criticality,
            tasks=tasks,
            mechanism=field["enforcement"].member_of(Mechanism) if "enforcement" in field else None,
        ),
        generation=field["generation"].integer(0, MAX_GENERATION)
        if "generation" in field
        else None,
    )


def format_admission_answer(answer: AdmissionAnswer) -> bytes:
    """Write the answer of both; utilizations are exact fractions as text."""
    return format_json(
        {
            "schedulable": answer.schedulable,
            "reason": None if answer.reason is None else answer.reason.value,
            "detail": answer.detail[:MAX_DETAIL],
            "utilization": {
                str(core_name(core)): str(used) for core, used in answer.utilization.items()
            },
            "granted": [_granted_json(held) for held in answer.granted],
            "generation": answer.generation,
            **({"exchange": True} if answer.exchange else {}),
        }
    ).encode()


def parse_admission_answer(body: bytes) -> AdmissionAnswer:
    """Read such an answer. Raises ``InvalidInputError``."""
    whole = read_body(body, "answer body")
    field = whole.fields(
        ("schedulable", "reason", "detail", "utilization", "granted", "generation"), ("exchange",)
    )
    schedulable = field["schedulable"].boolean()
    reason = read_reason(field["reason"])
    if schedulable != (reason is None):
        raise field["reason"].invalid("null exactly when the pod is schedulable")
    exchange = "exchange" in field and field["exchange"].boolean()
    if exchange and not schedulable:
        raise field["exchange"].invalid("true only where the pod is schedulable")
    places = field["granted"].items(at_most=MAX_GRANTED)
    granted = tuple(_read_granted(place) for place in places)
    require_distinct(granted, places)
    return AdmissionAnswer(
        schedulable=schedulable,
        reason=reason,
        detail=field["detail"].text(_DETAIL, f"a text of at most {MAX_DETAIL} characters"),
        utilization=_read_utilization(field["utilization"]),
        granted=granted,
        generation=field["generation"].integer(0, MAX_GENERATION),
        exchange=exchange,
    )


def _read_utilization(place: Json) -> dict[int, Fraction]:
    used: dict[int, Fraction] = {}
    members = place.members()
    if len(members) > MAX_CPUS + 1:
        raise place.invalid(f'at most {MAX_CPUS} cores and "any"')
    for name, member in members.items():
        if name == core_name(ANY_CORE):
            core = ANY_CORE
        elif _CORE.fullmatch(name):
            core = int(name)
        else:
            raise member.invalid(f'under a core\'s number from 0 to {HIGHEST_CORE}, or "any"')
        used[core] = member.fraction()
        if used[core] > MAX_CPUS:
            raise member.invalid(f"at most {MAX_CPUS}")
    return used


def _granted_json(held: Reservation) -> dict[str, object]:
    return {
        "pod_uid": held.pod_uid,
        "criticality": held.criticality.name,
        "server": server_json(held),
    }


def _read_granted(place: Json) -> Reservation:
    field = place.fields(("pod_uid", "criticality", "server"))
    return read_server(
        field["server"],
        pod_uid=field["pod_uid"].text(UID, "a pod's uid"),
        criticality=read_real_time_criticality(field["criticality"]),
    )
