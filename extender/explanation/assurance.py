"""Why a node's assurance does not suffice, with its level. Pure."""

from extender.cache.snapshot import NodeView
from extender.explanation.case import Case, Finding
from extender.explanation.wording import age
from k40s.assurance.level import HIGHEST_LEVEL, Thresholds
from k40s.explanation.model import Figure
from k40s.reasons import Reason
from k40s.units import format_duration


def explain_assurance(case: Case, thresholds: Thresholds) -> Finding:
    """The level needed and there; for a level that is not usable why, and its age."""
    needed = thresholds.required(case.asked.workload.criticality)
    view = case.view
    if view is not None and view.assurance is None:
        return _too_low(case, view, needed)
    return Finding(
        detail=_unusable(case),
        figures=(Figure(what="assurance level", needed=str(needed), free="not usable"),),
    )


def _too_low(case: Case, view: NodeView, needed: int) -> Finding:
    level = view.level
    detail = (
        f"The node's assurance is {level} of {HIGHEST_LEVEL}, and a "
        f"{case.asked.workload.criticality.name} pod needs {needed}."
    )
    if view.reduced:
        hazards = f" ({', '.join(view.hazards)})" if view.hazards else ""
        detail += f" A hazard{hazards} has lowered it by {view.reduced}."
    published = case.heard.entry.assurance.value if case.heard else None
    figures = [Figure(what="assurance level", needed=str(needed), free=str(level))]
    if published is not None:
        parts = (
            ("hardware assurance (α)", published.hardware),
            ("software assurance (β)", published.software),
            ("state (γ)", published.state),
        )
        figures += [Figure(what=what, needed="", free=str(value)) for what, value in parts]
    return Finding(detail=detail, figures=tuple(figures), lacking=max(needed - level, 0))


def _unusable(case: Case) -> str:
    heard = case.heard
    if heard is None:
        return "The extender knows no node of that name."
    published = heard.entry.assurance
    if case.reason is Reason.ASSURANCE_INVALID:
        return f"The node's annotation cannot be understood: {published.fault}."
    if case.reason is Reason.ASSURANCE_UNKNOWN:
        return "The node has no annotation node.k40s.io/assurance: malacoda has not run there."
    if case.reason is Reason.ASSURANCE_NO_LEASE:
        return f"malacoda has never renewed its Lease malacoda-{case.name}."
    lease = "" if published.value is None else format_duration(published.value.lease)
    return (
        f"malacoda renewed its Lease malacoda-{case.name} {age(heard.malacoda)} ago, and its word "
        f"counts for {lease}: it is silent."
    )
