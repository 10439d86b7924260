"""The page of the paper's model: each symbol of Table I has a row, each manifest is accepted."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from k40s import annotations
from k40s.annotations import parse_platform_factor, read_workload
from k40s.cpu.model import PodDemand
from k40s.cpu.workload import Workload, resolve
from k40s.network.objects import parse_network
from k40s.reasons import Reason
from k40s.units import NS_PER_MS
from tests.fakes.webhook.reviews import make_review
from tests.fixtures.documents import DOCS, Manifest, objects, rows
from tests.fixtures.object_schema import KINDS, faults
from webhook.pod_parts import find_pod_part
from webhook.validation import validate

PAGE = DOCS / "model.md"
EXAMPLES = DOCS / "examples" / "model"
TABLE_I = (
    *("WN_i", "RT_i", "A_i", "BR_i", "AR_i", "NW_q", "M_q", "J_ij", "C_ij", "TK_ijk"),
    *("WCET_ijk(i, j)", "T_ijk", "P_ijk"),
)
"""The symbols of the paper's Table I, as the page writes them; its first row are the indexes."""
POD_KINDS = ("Pod", "Deployment")


def read(name: str) -> list[Manifest]:
    return list(objects((EXAMPLES / name).read_text(encoding="utf-8"), source=name))


def manifests() -> list[str]:
    return sorted(path.name for path in EXAMPLES.iterdir())


def mapping(place: object) -> Manifest:
    assert isinstance(place, dict)
    return place


def workload(name: str) -> Workload:
    (pod,) = read(name)
    part = find_pod_part("", "Pod", pod)
    assert part is not None
    return read_workload(
        labels={}, annotations=part.metadata.annotations, containers=part.containers
    )


def test_every_symbol_of_the_papers_table_has_a_row() -> None:
    symbols = [row[0].strip("`") for row in rows(PAGE) if row[0].startswith("`")]

    assert [symbol for symbol in TABLE_I if symbol not in symbols] == []


def test_every_manifest_is_on_the_page_and_every_one_on_the_page_exists() -> None:
    linked = set(re.findall(r"examples/model/([\w.-]+)", PAGE.read_text(encoding="utf-8")))

    assert sorted(linked) == manifests()


def test_every_module_on_the_page_exists() -> None:
    named = re.findall(r"`((?:k40s|extender|workbench)/[\w/.]+)`", PAGE.read_text(encoding="utf-8"))

    assert named
    assert [path for path in named if not (DOCS.parent / path).exists()] == []


def test_every_key_on_the_page_is_a_key() -> None:
    named = set(re.findall(r"`((?:node\.)?k40s\.io/[\w-]+)`", PAGE.read_text(encoding="utf-8")))
    keys = {
        getattr(annotations, name)
        for name in annotations.__all__
        if name.endswith(("KEY", "LABEL"))
    }

    assert named <= keys


@pytest.mark.parametrize("name", manifests())
def test_a_manifest_is_read_strictly_and_accepted(name: str) -> None:
    for item in read(name):
        kind = item.get("kind")
        if kind in POD_KINDS:
            assert isinstance(kind, str)
            verdict = validate(make_review(kind, item))
            assert (verdict.refusal, verdict.warnings) == ("", ())
        if kind == "Network":
            assert parse_network(item).fault is None


@pytest.mark.parametrize("path", [*EXAMPLES.iterdir(), *EXAMPLES.parent.glob("tutorial/*.yaml")])
def test_a_manifest_has_the_fields_of_its_kind_alone(path: Path) -> None:
    for item in objects(path.read_text(encoding="utf-8"), source=path.name):
        if item.get("apiVersion") != "k40s.io/v1alpha1":
            kind = KINDS[str(item.get("apiVersion", "v1")), str(item.get("kind", "Node"))]
            assert list(faults(item, kind)) == []


def test_a_field_of_no_kind_and_a_number_for_a_text_are_found() -> None:
    spec = {"containers": [{"name": "a", "imagePulPolicy": "Never", "image": 1}], "priority": True}

    assert list(faults({"kind": "Pod", "spec": spec}, "V1Pod")) == [
        "$.spec.containers[0].imagePulPolicy: no field of V1Container",
        "$.spec.containers[0].image: 1 is no str",
        "$.spec.priority: True is no int",
    ]


def test_the_nodes_values_are_read() -> None:
    (node,) = read("node.yaml")
    texts = mapping(mapping(node["metadata"])["annotations"])

    factor = texts["k40s.io/platform-factor"]
    assert isinstance(factor, str)
    assert parse_platform_factor(factor) == Fraction(3, 2)


def test_resources_are_whole_numbers_below_a_domain_and_the_job_asks_for_some() -> None:
    (patch,), (job,) = read("node-devices.yaml"), read("job.yaml")
    capacity = mapping(mapping(patch["status"])["capacity"])
    containers = mapping(job["spec"])["containers"]
    assert isinstance(containers, list)
    limits = mapping(mapping(containers[0]["resources"])["limits"])

    assert all("/" in name and str(amount).isdigit() for name, amount in capacity.items())
    assert limits.keys() <= capacity.keys()


def test_a_hi_job_has_a_demand_on_platforms_of_its_table_alone() -> None:
    job = workload("job.yaml")
    factor = Fraction(3, 2)

    (here,) = demand(job, "edge", factor).containers

    assert [task.wcet // NS_PER_MS for task in here.tasks] == [20, 5]
    assert [task.priority for task in here.tasks] == [20, 10]
    assert resolve(job, pod_uid="u", platform="riscv", factor=factor) is Reason.CPU_NO_WCET


def test_a_low_jobs_baseline_is_rescaled_by_the_nodes_factor() -> None:
    (scaled,) = demand(workload("job-rescaled.yaml"), "anything", Fraction(3, 2)).containers

    assert scaled.tasks[0].wcet == 12 * NS_PER_MS


def demand(job: Workload, platform: str, factor: Fraction) -> PodDemand:
    found = resolve(job, pod_uid="u", platform=platform, factor=factor)
    assert isinstance(found, PodDemand)
    return found
