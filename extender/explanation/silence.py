"""Why a node's CPU state is not usable: no state, one that is not understood, a silent daemon."""

from extender.cache.node_entry import NodeEntry
from extender.explanation.case import Case
from extender.explanation.wording import age
from k40s.annotations import NO_MECHANISM
from k40s.reasons import Reason
from k40s.units import format_duration


def explain_silence(case: Case) -> str:
    """One sentence, with the age of the daemon's last word."""
    heard = case.heard
    if heard is None:
        return "The extender knows no node of that name."
    entry = heard.entry
    lease = "" if entry.cpu.value is None else format_duration(entry.cpu.value.lease)
    texts = {
        Reason.CPU_STATE_INVALID: f"The node's annotation cannot be understood: {entry.cpu.fault}.",
        Reason.CPU_STATE_UNKNOWN: (
            "The node has no annotation node.k40s.io/cpu-state: rubicante has not run there."
        ),
        Reason.CPU_NO_LEASE: f"rubicante has never renewed its Lease rubicante-{case.name}.",
        Reason.CPU_STATE_STALE: (
            f"rubicante renewed its Lease rubicante-{case.name} {age(heard.rubicante)} ago, and "
            f"its word counts for {lease}: it is silent."
        ),
        Reason.CPU_PLATFORM_CHANGED: _of_platform(entry),
        Reason.CPU_NO_REAL_TIME: _of_mechanism(entry),
    }
    return texts.get(
        case.reason, "The node's CPU admission daemon was asked, and did not admit the pod."
    )


def _of_platform(entry: NodeEntry) -> str:
    label, factor = entry.platform
    state = entry.cpu.value
    judged = "" if state is None else f"{state.node.platform}, factor {state.node.platform_factor}"
    said = "not understood" if factor is None else str(factor)
    return f"The node's platform is {label or 'not said'}, factor {said}; its state is of {judged}."


def _of_mechanism(entry: NodeEntry) -> str:
    state = entry.cpu.value
    if state is None:
        return "The node has no annotation node.k40s.io/cpu-state: it is no real-time node."
    if state.mechanism == NO_MECHANISM:
        return "rubicante found no mechanism to enforce budgets on this node: see k40s doctor."
    return "The node's label node.k40s.io/real-time is not true."
