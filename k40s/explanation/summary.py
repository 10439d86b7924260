"""The one sentence that answers "why is my pod not running?". Pure."""

from collections import Counter

from k40s.explanation.model import Explanation, NodeExplanation
from k40s.reasons import TRANSIENT

_NOT_JUDGED = frozenset(reason.value for reason in TRANSIENT)


def fits(explanation: Explanation) -> bool:
    """Whether a node takes the pod."""
    return any(node.reason is None for node in explanation.nodes)


def is_judged(explanation: Explanation) -> bool:
    """Whether there is a verdict: a node that takes it, or none that gave no answer.

    kube-scheduler tries such a pod again by itself.
    """
    if explanation.fault is not None or fits(explanation):
        return True
    return bool(explanation.nodes) and not any(
        node.reason in _NOT_JUDGED for node in explanation.nodes
    )


def summarize(explanation: Explanation) -> str:
    """One sentence or two; nodes come with the nearest first."""
    pod = f"{explanation.namespace}/{explanation.pod}"
    if explanation.criticality:
        pod += f" ({explanation.criticality})"
    nodes = explanation.nodes
    if explanation.fault is not None:
        return f"{pod} is refused everywhere: {explanation.fault}."
    if not nodes:
        return f"{pod} cannot be judged: no node is known."
    fitting = [node for node in nodes if node.reason is None]
    if fitting:
        best = fitting[0]
        score = "" if best.score is None else f" (score {best.score} of 10)"
        return f"{pod} fits on {len(fitting)} of {_count(len(nodes))}; best on {best.name}{score}."
    reasons = Counter(node.reason for node in nodes)
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    text = f"{pod} fits on none of {_count(len(nodes))}: {why}."
    if not is_judged(explanation):
        return f"{text} Some gave no answer, so the scheduler tries it again by itself."
    helped = (node for node in nodes if node.reason == nodes[0].reason and node.remedies)
    return f"{text} {_nearest(next(helped, nodes[0]))}"


def _nearest(node: NodeExplanation) -> str:
    if node.remedies:
        return f"Nearest is {node.name}: {node.remedies[0]}."
    return f"Nearest is {node.name}: {node.detail}" if node.detail else f"Nearest is {node.name}."


def _count(nodes: int) -> str:
    return f"{nodes} node{'s' if nodes != 1 else ''}"
