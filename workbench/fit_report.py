"""The answer to "would my pod fit on this node", as text and as JSON."""

from k40s.units import format_duration
from workbench.admission_json import VERSION
from workbench.admission_json import report_json as admission_json
from workbench.admission_text import core_name, format_node
from workbench.admission_text import format_report as format_admission
from workbench.fitting import Answer, FitReport

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
                    f"{format_duration(held.server.budget)} in "
                    f"{format_duration(held.server.period)} on core {core_name(held.core)} "
                    f"({held.mechanism})"
                )
    return "\n".join(lines)


def _figures(report: FitReport) -> list[str]:
    if report.report is not None:
        return [format_admission(report.report)]
    return [format_node(report.node.state.node)]
