"""What the documents list is what the code has."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics, ReportMetrics
from daemons.malacoda.sampler import SOURCES
from daemons.rubicante.conditions import Trouble
from daemons.rubicante.metrics import (
    BookMetrics,
    EnforcementMetrics,
    FeedbackMetrics,
    ReconciliationMetrics,
)
from daemons.rubicante.notices import Notice
from daemons.rubicante.reconciler import Difference
from k40s import annotations
from k40s.annotations import (
    CRITICALITY_KEY,
    TASKS_KEY,
    parse_cpu_state,
    parse_node_assurance,
    read_workload,
)
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.metrics import Metric
from k40s.node_api import parse_allocation
from k40s.reasons import Reason

DOCS = Path("docs")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text(name).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_reasons_are_listed_with_their_texts_and_in_order() -> None:
    listed = [(row[0].strip("`"), row[1]) for row in rows("reasons.md") if "`" in row[0]]

    assert listed == [(reason.value, reason.text) for reason in Reason]


def test_every_key_is_listed() -> None:
    keys = {
        getattr(annotations, name)
        for name in annotations.__all__
        if name.endswith(("_KEY", "_LABEL"))
    }
    table = [row for row in rows("annotations.md") if row[0].startswith("`") and len(row) == 5]

    assert {row[0].strip("`") for row in table} == keys


def test_the_examples_of_values_can_be_read() -> None:
    page = text("annotations.md")
    allocation, assurance, state = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (pod,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    tasks = pod.split("|\n", 1)[1].split("spec:")[0]

    assert parse_allocation(allocation, pod_uid="u")[0].tasks[0].name == "control"
    assert parse_node_assurance(assurance).level == 12
    assert parse_cpu_state(state).complete
    read = read_workload(labels={}, annotations={CRITICALITY_KEY: "HI", TASKS_KEY: tasks})
    assert read.tasks[0].priority == 10


def test_malacodas_metrics_are_listed() -> None:
    registry = CollectorRegistry()
    MonitorMetrics(registry, DEFAULT_RULES)
    ReportMetrics(registry)
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }
    listed = set(re.findall(r"`(k40s_malacoda_\w+)", text("metrics.md")))

    assert listed == exported
    assert all(f"`{metric.value}`" in text("metrics.md") for metric in Metric)
    assert all(f"`{source}`" in text("metrics.md") for source in SOURCES)


def test_rubicantes_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    for metrics in (BookMetrics, EnforcementMetrics, FeedbackMetrics, ReconciliationMetrics):
        metrics(registry)
    exported = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
    }
    listed = {
        match[1]: row[1]
        for row in rows("metrics.md")
        if (match := re.match(r"`(k40s_rubicante_\w+)", row[0]))
    }

    assert listed == exported
    assert all(f"`{value}`" in text("metrics.md") for value in (*Notice, *Trouble, *Difference))
