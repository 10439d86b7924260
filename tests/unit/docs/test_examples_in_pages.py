"""What a page shows as an example is accepted, or refused with exactly the text beside it."""

import json
from pathlib import Path

import pytest

from k40s.network.objects import parse_network
from k40s.tenants.objects import parse_tenant
from tests.fakes.webhook.reviews import make_review
from tests.fixtures.documents import DOCS, Manifest, as_pod, blocks, objects, pages, rows
from webhook.validation import validate

OF_OTHERS = {"ConfigMap", "Kustomization", "RuntimeClass", "Service", "Node", "Namespace"}
"""Kinds in examples in which k40s reads nothing that application teams write."""


def shown() -> list[tuple[str, Manifest]]:
    """Every object or fragment with metadata that any page shows, with its page."""
    return [
        (page.name, item)
        for page in pages()
        for text in blocks(page, "yaml")
        for item in objects(text, source=page.name + ".yaml")
        if "metadata" in item
    ]


def fault_of(item: Manifest) -> str:
    kind = item.get("kind", "Pod")
    if kind == "Network":
        return parse_network(item).fault or ""
    if kind == "Tenant":
        return parse_tenant(item).fault or ""
    if kind in OF_OTHERS:
        return ""
    assert isinstance(kind, str)
    return validate(make_review(kind, as_pod(item) if kind == "Pod" else item)).refusal


@pytest.mark.parametrize(("page", "item"), shown())
def test_an_example_in_a_page_is_accepted(page: str, item: Manifest) -> None:
    assert fault_of(item) == "", page


def test_the_pages_have_examples_of_each_key_that_teams_write() -> None:
    text = str([item for page, item in shown() if page == "annotations.md"])

    for key in ("criticality", "tasks", "metric", "network"):
        assert f"k40s.io/{key}" in text


def pod(
    tasks: str | None,
    *,
    criticality: str | None = "LOW",
    annotations: dict[str, str] | None = None,
    init: str = "",
) -> Manifest:
    written = {"k40s.io/criticality": criticality, "k40s.io/tasks": tasks} | (annotations or {})
    spec: Manifest = {"containers": [{"name": "app"}]}
    if init:
        spec["initContainers"] = [{"name": init}]
    texts = {key: text for key, text in written.items() if text is not None}
    return as_pod({"metadata": {"annotations": texts}, "spec": spec})


def task(name: object = "control", **fields: object) -> dict[str, object]:
    return {"name": name, **({"wcet": "20ms", "period": "100ms"} | fields)}


def one(**fields: object) -> str:
    """The annotation of one task; a field that is None is left out."""
    return json.dumps([{key: value for key, value in task(**fields).items() if value is not None}])


def many(count: int) -> str:
    return json.dumps([task(f"t{index}") for index in range(count)])


MISTAKES = {
    "criticality `high`": pod(None, criticality="high"),
    "tasks, no criticality": pod(one(), criticality=None),
    "no period": pod(one(period=None)),
    '`"perod": "1ms"`': pod(one(period=None, perod="1ms")),
    '`"period": 100`': pod(one(period=100)),
    '`"wcet": "200ms"`, period 100 ms': pod(one(wcet="200ms")),
    '`"deadline": "1s"`, period 100 ms': pod(one(deadline="1s")),
    'HI, `"wcet": "20ms"`': pod(one(), criticality="HI"),
    "a container `setup` among `initContainers`": pod(one(container="setup"), init="setup"),
    "48 tasks in one container": pod(many(48)),
    "17 tasks in one container": pod(many(17)),
    "enforcement `SCHED_DEADLINE`": pod(
        one(), annotations={"k40s.io/enforcement": "SCHED_DEADLINE"}
    ),
    "`{`": pod("{"),
}
"""What the table's first column says in words, written down."""


def errors_listed(page: Path) -> dict[str, str]:
    """What is written, and the error beside it, of annotations.md."""
    table = [row for row in rows(page) if len(row) == 2 and ": found " in row[1]]
    return {row[0]: row[1].strip("`") for row in table}


def test_every_error_in_the_table_has_a_pod_that_makes_it() -> None:
    assert errors_listed(DOCS / "annotations.md").keys() == MISTAKES.keys()


@pytest.mark.parametrize("written", MISTAKES)
def test_a_mistake_is_refused_with_exactly_the_listed_text(written: str) -> None:
    listed = errors_listed(DOCS / "annotations.md")[written]

    assert fault_of(MISTAKES[written]) == f"pod.invalid-annotation: {listed}"
