"""The answer to "would my pod fit on this node", as text and as JSON."""

from k40s.node_api.allocation import core_name
from workbench.analysis.fit import Answer, FitReport
from workbench.reports.admission_json import VERSION
from workbench.reports.admission_json import report_json as admission_json
from workbench.reports.admission_text import format_node
from workbench.reports.admission_text import format_report as format_admission
from workbench.table import as_time

_NO_ASSURANCE = "the state does not tell the node's assurance, which the scheduler looks at too"
HINT = "At bind the node decides again: its state may have changed by then."


def format_report(report: FitReport) -> str:
    """The answer first, then the figures that it rests on."""
    return "\n\n".join([_answer(report), *_figures(report), HINT])


def report_json(report: FitReport) -> dict[str, object]:
    """The object that ``k40s analyze --json`` prints for a node's state."""
    state = report.node.state
    return {
        "v": VERSION,
        "kind": "fit",
        "node": report.node.name,
        "generation": state.generation,
        "test": state.test,
        "answer": {Answer.YES: "yes", Answer.NO: "no", Answer.NODE_DECIDES: "node-decides"}[
            report.answer
        ],
        "because": report.because,
        "refusals": [
            {
                "name": pod.name,
                "reason": str(refused.reason),
                "text": refused.reason.text,
                "detail": refused.detail,
            }
            for pod, refused in report.refusals
        ],
        "admission": None if report.report is None else admission_json(report.report),
    }


def _answer(report: FitReport) -> str:
    state = report.node.state
    lines = [f"on {report.node.name} (generation {state.generation}): {report.answer}"]
    if report.because:
        lines.append(f"  {report.because}; it answers at {state.endpoint}/v1/admission")
    for pod, refused in report.refusals:
        lines.append(f"  {pod.name} is refused, {refused.reason}: {refused.reason.text}")
        lines += [f"    {part}" for part in refused.detail.split("; ") if part]
    if report.report is not None:
        for step in report.report.steps:
            for held in step.granted:
                lines.append(
                    f"  {step.pod.name}/{held.container} gets "
                    f"{as_time(held.server.budget)} in "
                    f"{as_time(held.server.period)} on core {core_name(held.core)} "
                    f"({held.mechanism})"
                )
    if report.node.fit_for is None and report.answer is not Answer.NO:
        lines.append(f"  {_NO_ASSURANCE}")
    return "\n".join(lines)


def _figures(report: FitReport) -> list[str]:
    if report.report is not None:
        return [format_admission(report.report)]
    return [format_node(report.node.state.node)]
