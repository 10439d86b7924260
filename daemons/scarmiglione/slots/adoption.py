"""The channels that a running pod was told, from its annotation: they must stay what they are."""

from collections.abc import Sequence

from k40s.annotations import NETWORK_GRANT_KEY, parse_network_grants
from k40s.annotations.network import GrantedSlots
from k40s.errors import InvalidAnnotationError
from k40s.kube.records import PodRecord
from k40s.node_api.network_messages import RequestedSlot
from k40s.tdma.model import Window


def told_channels(record: PodRecord, slots: Sequence[RequestedSlot]) -> tuple[int | None, ...]:
    """For each slot the channel or priority in the pod's grant; None where it names none."""
    text = record.annotations.get(NETWORK_GRANT_KEY, "")
    try:
        granted = [one for one in parse_network_grants(text) if isinstance(one, GrantedSlots)]
    except InvalidAnnotationError:
        granted = []
    told: list[int | None] = []
    for slot in slots:
        match = next((one for one in granted if _is_of(one, slot)), None)
        if match is not None:
            granted.remove(match)
        told.append(None if match is None else _number(match))
    return tuple(told)


def _number(granted: GrantedSlots) -> int | None:
    return granted.priority if granted.channel is None else granted.channel


def _is_of(granted: GrantedSlots, slot: RequestedSlot) -> bool:
    """Whether a grant is for these windows; the annotation's phasing counts from 1."""
    return granted.network == slot.network and [
        (one.offset, one.phasing, one.every) for one in granted.slots
    ] == [_as_told(window) for window in slot.windows]


def _as_told(window: Window) -> tuple[int, int, int]:
    return window.offset, window.phase + 1, window.every
