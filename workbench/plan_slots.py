"""``k40s tdma plan``: from a file to slots on a TDMA network."""

from workbench.analysis.slot_plan import SlotReport, plan_slots
from workbench.inputs.slot_plan_file import read_slot_plan


def plan_file(text: str, *, source: str) -> SlotReport:
    """Grant the slots of a file's requests. Raises ``InvalidInputError``."""
    return plan_slots(read_slot_plan(text, source=source))
