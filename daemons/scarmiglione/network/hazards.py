"""The preconditions by name, and the reason that each is refused with. Pure."""

from enum import StrEnum

from daemons.scarmiglione.network.back_end import Refusal
from k40s.reasons import Reason


class Hazard(StrEnum):
    """What broke or froze a network when it was tried, or cannot be kept; a label in logs."""

    NOT_ATTACHED = "not-attached"
    NO_SYNC = "no-sync"
    CLOCK_STEP = "clock-step"
    CYCLE_DIFFERS = "cycle-differs"
    OFFSET_PAST_CYCLE = "offset-past-cycle"
    CHANNEL_PAST_TABLE = "channel-past-table"
    CHANNEL_RESERVED = "channel-reserved"
    CHANNEL_MISFIT = "channel-misfit"
    JOINT_PRIMARY = "joint-primary"
    JOINT_SIZES = "joint-sizes"
    JOINED_BY_OTHERS = "joined-by-others"
    PAYLOAD_BOUNDS = "payload-bounds"
    SLOT_OVERLAP = "slot-overlap"
    TOO_MANY_ENTRIES = "too-many-entries"
    WINDOW_TOO_SHORT = "window-too-short"
    NO_BEST_EFFORT = "no-best-effort"
    QUEUES = "queues"
    FOREIGN_QDISC = "foreign-qdisc"


_REASONS = {
    Hazard.NOT_ATTACHED: Reason.NETWORK_UNHEALTHY,
    Hazard.NO_SYNC: Reason.NETWORK_UNHEALTHY,
    Hazard.CLOCK_STEP: Reason.NETWORK_UNHEALTHY,
    Hazard.CYCLE_DIFFERS: Reason.NETWORK_UNHEALTHY,
    Hazard.CHANNEL_PAST_TABLE: Reason.NETWORK_NO_CHANNEL,
    Hazard.TOO_MANY_ENTRIES: Reason.NETWORK_NO_CHANNEL,
    Hazard.QUEUES: Reason.NETWORK_NO_MECHANISM,
    Hazard.FOREIGN_QDISC: Reason.NETWORK_NO_MECHANISM,
}


def refuse(hazard: Hazard, detail: str) -> Refusal:
    """A refusal with the reason that belongs to the hazard."""
    reason = _REASONS.get(hazard, Reason.NETWORK_STATION_REFUSED)
    return Refusal(reason=reason, hazard=hazard.value, detail=detail)
