"""One line of the book: what a pod asked for, what it holds, and how sure we are of the pod."""

from dataclasses import dataclass, replace
from enum import StrEnum

from k40s.allocation import format_allocation, parse_allocation
from k40s.cpu.model import Reservation
from k40s.errors import InvalidInputError, UnavailableError
from k40s.node_api import (
    MAX_BODY,
    PodRef,
    ReservationRequest,
    format_reservation_request,
    parse_reservation_request,
)
from k40s.strict_json import format_json, read_json

_MAX_REQUEST = 4 * MAX_BODY
"""As written by us, a request may be longer than as it was sent: with defaults, other units."""
_MAX_ENTRY = 4 * _MAX_REQUEST


class Phase(StrEnum):
    """``LEASED``: reserved, the pod not yet seen bound here. ``RELEASING``: the kernel lets go."""

    LEASED = "leased"
    BOUND = "bound"
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``containers`` are all containers of the pod, ``reservations`` what its tasks hold.

    The order of ``reservations`` is the one that admission granted them in, and never changes: a
    budget group is named by the index in it. What identifies one is its ``key``.
    """

    request: ReservationRequest
    containers: tuple[str, ...]
    phase: Phase
    reservations: tuple[Reservation, ...]

    @property
    def pod(self) -> PodRef:
        """The pod that holds it."""
        return self.request.pod

    def holding(self, reservations: tuple[Reservation, ...]) -> "Entry":
        """The same entry with what admission made of its reservations, in the entry's order."""
        by_key = {reservation.key: reservation for reservation in reservations}
        return replace(self, reservations=tuple(by_key[held.key] for held in self.reservations))

    def in_phase(self, phase: Phase) -> "Entry":
        """The same entry, further on."""
        return replace(self, phase=phase)


def format_entry(entry: Entry) -> str:
    """JSON for the store."""
    return format_json(
        {
            "request": format_reservation_request(entry.request).decode(),
            "containers": list(entry.containers),
            "phase": entry.phase.value,
            "allocation": format_allocation(entry.reservations),
        }
    )


def parse_entry(text: str, *, pod_uid: str) -> Entry:
    """Read what ``format_entry`` wrote. Raises ``UnavailableError`` for anything else."""
    try:
        field = read_json(text, source="store", error=InvalidInputError, at_most=_MAX_ENTRY).fields(
            ("request", "containers", "phase", "allocation")
        )
        return Entry(
            request=parse_reservation_request(
                str(field["request"].value).encode(), pod_uid=pod_uid, at_most=_MAX_REQUEST
            ),
            containers=tuple(str(item.value) for item in field["containers"].items(at_most=1000)),
            phase=Phase(str(field["phase"].value)),
            reservations=parse_allocation(str(field["allocation"].value), pod_uid=pod_uid),
        )
    except (InvalidInputError, ValueError) as error:
        raise UnavailableError(f"the store's entry of pod {pod_uid} is damaged: {error}") from error
