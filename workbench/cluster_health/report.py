"""Findings as a table and as values. Pure."""

from collections.abc import Sequence
from typing import Any

from workbench.cluster_health.judge import Finding, Verdict, overall
from workbench.table import format_table

_HEAD = ("STATE", "PART", "FINDING")


def findings_table(findings: Sequence[Finding]) -> str:
    """One line a finding, faults first, each with what to do."""
    order = (Verdict.FAULT, Verdict.UNKNOWN, Verdict.OK)
    rows = [
        (
            one.verdict.value,
            one.part,
            f"{one.text}  ->  {one.remedy}" if one.remedy else one.text,
        )
        for one in sorted(findings, key=lambda one: order.index(one.verdict))
    ]
    return format_table(_HEAD, rows)


def findings_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The same for ``-o json``."""
    return {
        "state": overall(list(findings)).value.lower(),
        "findings": [
            {
                "state": one.verdict.value.lower(),
                "part": one.part,
                "text": one.text,
                "remedy": one.remedy,
            }
            for one in findings
        ],
    }
