"""An explanation as people read it: the answer, a table of nodes, then the nearest ones in full."""

from k40s.explanation.model import Explanation, Figure, NodeExplanation
from k40s.explanation.summary import summarize
from workbench.printable import in_line
from workbench.table import format_table

_IN_FULL = 3
"""Nodes that refuse and are told in full, where not all are."""
_ROWS = 50
_OBSTACLES = 5
_MINUTE, _HOUR = 60, 3600


def explanation_text(explanation: Explanation, *, wide: bool) -> str:
    """``wide``: every node in full, and every obstacle."""
    remarks = map("mind: {}".format, explanation.remarks)
    answer = "\n".join(map(in_line, (summarize(explanation), *remarks)))
    if explanation.fault is not None:
        return answer
    nodes = explanation.nodes
    shown = nodes if wide else nodes[:_ROWS]
    parts = [answer]
    if shown:
        parts.append(format_table(_head(wide=wide), [_row(one, wide=wide) for one in shown]))
    if len(shown) < len(nodes):
        parts.append(f"{len(nodes) - len(shown)} more nodes; -o wide shows all.")
    refusing = [one for one in nodes if one.reason is not None]
    fitting = len(refusing) < len(nodes)
    full = refusing if wide else refusing[: 0 if fitting else _IN_FULL]
    parts += [_in_full(one, wide=wide) for one in full]
    return "\n\n".join(parts)


def age_text(seconds: float | None) -> str:
    """``3s``, ``2m5s``; ``never``."""
    if seconds is None:
        return "never"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE}m"


def _head(*, wide: bool) -> list[str]:
    head = ["NODE", "VERDICT", "WHY", "NEEDED", "FREE", "AGE"]
    return [*head, "WHAT IS MEASURED"] if wide else head


def _row(node: NodeExplanation, *, wide: bool) -> list[str]:
    first = node.figures[0] if node.figures else None
    needed, free = ("-", "-") if first is None else (first.needed or "-", first.free or "-")
    row = [node.name, *_verdict(node), needed, free, age_text(node.age)]
    return [*row, "-" if first is None else first.what] if wide else row


def _verdict(node: NodeExplanation) -> tuple[str, str]:
    if node.reason is not None:
        return "refused", node.reason
    score = "fits" if node.score is None else f"fits, {node.score}/10"
    parts = [f"{part.name} {part.score:.1f} x {part.weight:g}" for part in node.parts]
    return score, " + ".join(parts) or "-"


def _in_full(node: NodeExplanation, *, wide: bool) -> str:
    lines = [f"{node.name}: {node.text}"]
    if node.detail:
        lines.append(f"  {node.detail}")
    lines += map(_figure, node.figures if wide else node.figures[:_OBSTACLES])
    obstacles = node.obstacles if wide else node.obstacles[:_OBSTACLES]
    if obstacles:
        lines.append("  in the way:")
    for one in obstacles:
        who = f"{one.namespace}/{one.pod}" if one.pod else "a pod that you may not see"
        lines.append(f"    {who} ({one.criticality or 'criticality unknown'})  {one.what}")
    rest = len(node.obstacles) - len(obstacles)
    if rest:
        lines.append(f"    and {rest} more; -o wide shows all")
    if node.remedies:
        lines.append("  tried, and enough:")
    lines += [f"    {text}" for text in node.remedies]
    return "\n".join(map(in_line, lines))


def _figure(figure: Figure) -> str:
    """``core 1, bandwidth: needed 0.402, free 0.258 of 0.900``; without what is not needed."""
    needed = f"needed {figure.needed}, free " if figure.needed else ""
    return f"  {figure.what}: {needed}{figure.free}"
