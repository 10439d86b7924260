"""A verdict as text for people and as an object for programs."""

import textwrap
from collections.abc import Sequence

from workbench.doctor.findings import Finding, Level, Verdict, is_met

_WIDTH = 100
_MARKS = {
    Level.OK: "OK",
    Level.LIMITS: "LIMITS",
    Level.MISSING: "MISSING",
    Level.UNKNOWN: "UNKNOWN",
}
_ANSWERS = {True: "yes", False: "no", None: "cannot be judged"}


def verdict_text(verdict: Verdict, needs: Sequence[str]) -> str:
    """Lines of at most 100 columns; what would change something is on one line, to be copied."""
    names = [finding.subject for finding in verdict.findings]
    left = max(map(len, _MARKS.values())) + max(map(len, names)) + 4
    lines = [verdict.title, f"mechanisms: {'+'.join(verdict.mechanisms) or 'none'}"]
    lines += [f"{need} needed: {_ANSWERS[is_met(verdict, need)]}" for need in needs]
    for finding in verdict.findings:
        lines += ["", *_lines(finding, left)]
    if verdict.gaps:
        lines += ["", "not read (as root on the node, or with --root, it may be):"]
        lines += [f"  {gap.path}: {gap.cause}" for gap in verdict.gaps]
    return "\n".join(lines)


def verdict_object(verdict: Verdict, needs: Sequence[str]) -> dict[str, object]:
    """The same for programs; ``v`` grows when a field changes its meaning."""
    return {
        "v": 1,
        "machine": verdict.title,
        "mechanisms": list(verdict.mechanisms),
        "needs": {need: is_met(verdict, need) for need in needs},
        "findings": [
            {
                "subject": finding.subject,
                "level": finding.level.value,
                "found": finding.found,
                "consequence": finding.consequence,
                "remedy": finding.remedy,
            }
            for finding in verdict.findings
        ],
        "not_read": [{"path": gap.path, "cause": gap.cause} for gap in verdict.gaps],
    }


def _lines(finding: Finding, left: int) -> list[str]:
    mark = _MARKS[finding.level].ljust(max(map(len, _MARKS.values())))
    head = f"{mark}  {finding.subject}".ljust(left)
    first, *rest = _wrapped(finding.found, left)
    lines = [head + first, *(" " * left + line for line in rest)]
    if finding.consequence:
        lines += [" " * left + line for line in _wrapped(finding.consequence, left)]
    if finding.remedy:
        lines.append(f"{' ' * left}change: {finding.remedy}")
    return lines


def _wrapped(text: str, left: int) -> list[str]:
    return textwrap.wrap(text, _WIDTH - left, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
