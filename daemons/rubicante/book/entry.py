"""A reservation record: the request, the granted servers, the lifecycle phase; and its text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from k40s.cpu.model import Reservation
from k40s.errors import InvalidInputError, UnavailableError
from k40s.node_api.allocation import format_allocation, parse_allocation
from k40s.node_api.messages import (
    MAX_BODY,
    PodRef,
    ReservationRequest,
    format_reservation_request,
    parse_reservation_request,
)
from k40s.strict_json import format_json, read_json

_MAX_REQUEST = 4 * MAX_BODY
"""A stored request may be longer than the one that was sent: with defaults, in other units."""
_MAX_ENTRY = 4 * _MAX_REQUEST
_KEY = "pod/"


class Phase(StrEnum):
    """``LEASED``: the pod is not bound here yet. ``RELEASING``: it is gone, the kernel holds it."""

    LEASED = "leased"
    BOUND = "bound"
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``containers`` are all containers of the pod, ``reservations`` what its tasks hold.

    ``reservations`` keep the order in which admission granted them: a budget group is named by the
    index. A reservation is identified by its ``key``.
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
        """The same entry with those of its reservations that changed, in the entry's order."""
        by_key = {reservation.key: reservation for reservation in reservations}
        after = tuple(by_key.get(held.key, held) for held in self.reservations)
        return replace(self, reservations=after)

    def in_phase(self, phase: Phase) -> "Entry":
        """The same entry in another phase."""
        return replace(self, phase=phase)


def format_entries(entries: Mapping[str, Entry | None]) -> dict[str, str | None]:
    """By pod UID → what the store is to hold; None removes an entry."""
    return {
        _KEY + uid: None if entry is None else format_entry(entry) for uid, entry in entries.items()
    }


def parse_entries(stored: Mapping[str, str]) -> dict[str, Entry]:
    """All entries in the store, by pod UID. Raises ``UnavailableError`` for a damaged one."""
    uids = [key.removeprefix(_KEY) for key in stored if key.startswith(_KEY)]
    return {uid: parse_entry(stored[_KEY + uid], pod_uid=uid) for uid in uids}


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
                str(field["request"].value).encode(),
                pod_uid=pod_uid,
                at_most=_MAX_REQUEST,
                held=True,
            ),
            containers=tuple(str(item.value) for item in field["containers"].items(at_most=1000)),
            phase=Phase(str(field["phase"].value)),
            reservations=parse_allocation(str(field["allocation"].value), pod_uid=pod_uid),
        )
    except (InvalidInputError, ValueError) as error:
        raise UnavailableError(f"the store's entry of pod {pod_uid} is damaged: {error}") from error
