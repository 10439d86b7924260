"""A plan of slots as JSON. Durations are text with a unit, fractions exact text."""

from k40s.network.text import format_size
from k40s.reasons import Reason
from k40s.tdma import utilization
from k40s.tdma.expression import Expression
from k40s.tdma.model import SlotRequest, Window
from k40s.units import format_duration
from workbench.analysis.slot_plan import SlotReport, Step

VERSION = 1
"""Grows when a field changes its meaning or goes; new fields may come at any time."""


def report_json(report: SlotReport) -> dict[str, object]:
    """The object that ``k40s tdma plan --json`` prints. Slots are as in a Network's status."""
    return {
        "v": VERSION,
        "kind": "slots",
        "network": report.name,
        "cycle": format_duration(report.table.cycle.period),
        "fits": report.fits,
        "utilization": str(utilization(report.table)),
        "repeats_after_cycles": report.cycles,
        "requests": [_step_json(step) for step in report.steps],
        "slots": [
            {
                "sender": holder.name,
                "node": holder.node,
                "reserved": holder.reserved,
                "windows": list(map(_window_json, holder.windows)),
            }
            for holder in report.holders
        ],
        "free": [
            {"every": every, "payload": None if payload is None else format_size(payload)}
            for every, payload in report.free
        ],
    }


def _window_json(window: Window) -> dict[str, object]:
    return {
        "offset": format_duration(window.offset),
        "phase": window.phase,
        "every": window.every,
        "length": format_duration(window.length),
        "payload": format_size(window.payload),
    }


def _step_json(step: Step) -> dict[str, object]:
    form, refused = step.form, isinstance(step.outcome, Reason)
    found: dict[str, object] = {
        "name": step.asked.name,
        "node": step.asked.member.node,
        "fits": not refused,
        "reason": str(step.outcome) if refused else None,
    }
    if isinstance(form, Expression):
        return found | {"period": format_duration(form.period)}
    nearest = None if form.nearest is None else _request_json(form.nearest)
    return found | {"because": form.because, "nearest": nearest}


def _request_json(request: SlotRequest) -> dict[str, object]:
    asked: dict[str, object] = {"period": format_duration(request.period)}
    if request.length is not None:
        asked["length"] = format_duration(request.length)
    if request.payload is not None:
        asked["payload"] = format_size(request.payload)
    return asked
