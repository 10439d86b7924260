"""The history of preemptions on the controller's Lease."""

import logging

from controller.leadership import Leadership, LeaseHistory
from k40s.annotations import PREEMPTIONS_KEY
from k40s.annotations.preemption_history import (
    PreemptionHistory,
    format_preemptions,
    parse_preemptions,
)

log = logging.getLogger(__name__)

Past = LeaseHistory[PreemptionHistory]


def past_of(leadership: Leadership) -> Past:
    """The history that these leaders keep. Where it cannot be read nobody is evicted."""
    return LeaseHistory(
        leadership,
        PREEMPTIONS_KEY,
        parse=parse_preemptions,
        write=format_preemptions,
        refused=lambda cause: log.error("history of preemptions refused", extra={"cause": cause}),
    )
