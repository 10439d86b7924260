"""The texts by which nodes refuse a pod, as filter, dry run and explanations say them. Pure."""

from collections.abc import Mapping

from extender.cache.snapshot import Snapshot
from extender.protocol import refusal_text
from k40s.reasons import Reason

TEXTS: Mapping[Reason, str] = {reason: refusal_text(reason) for reason in Reason}
"""The text of each reason, in replies and events."""


def name_hazards(refused: Mapping[str, Reason], snapshot: Snapshot) -> Mapping[str, str]:
    """The text of each node's refusal, with the hazards that its Node names.

    Of ``snapshot`` they may be older than the refusal by one change of the node.
    """
    named = {}
    for name, reason in refused.items():
        text = TEXTS[reason]
        if reason is Reason.ASSURANCE_HAZARD:
            view = snapshot.nodes.get(name)
            hazards = ", ".join(view.hazards) if view else ""
            text = f"{text} ({hazards or 'over, and not long enough'})"
        named[name] = text
    return named
