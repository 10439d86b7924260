"""The validating review: texts, places, updates and warnings."""

import pytest

from extender.cache.workloads import WorkloadCache
from k40s.kube.objects.pod_templates import POD_OWNERS
from tests.fakes.webhook.reviews import make_pod, make_review, wrap
from webhook.validation import validate

BAD = {"k40s.io/criticality": "HIGH"}
FAULT = (
    'pod.invalid-annotation: k40s.io/criticality: found \'HIGH\', expected one of "NO", "LOW", "HI"'
)


@pytest.mark.parametrize("kind", ["Pod", *POD_OWNERS])
def test_the_text_is_the_extenders_after_the_templates_place(kind: str) -> None:
    verdict = validate(make_review(kind, wrap(kind, make_pod(BAD))))

    places = {"Pod": "", "CronJob": "spec.jobTemplate.spec.template: "}
    assert verdict.refusal == places.get(kind, "spec.template: ") + FAULT
    told = WorkloadCache().read(labels={}, annotations=BAD, containers=("main",)).fault
    assert told == FAULT


@pytest.mark.parametrize("kind", ["Pod", *POD_OWNERS])
def test_what_is_right_or_not_ours_is_allowed(kind: str) -> None:
    for annotations in ({"k40s.io/criticality": "LOW"}, {"example.org/x": "k40s.io/"}, None):
        assert validate(make_review(kind, wrap(kind, make_pod(annotations)))).refusal == ""


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("k40s.io/critcality", "k40s.io/criticality"),
        ("k40s.io/task", "k40s.io/tasks"),
        ("k40s.io/TASKS", "k40s.io/tasks"),
        ("k40s.io/networks", "k40s.io/network"),
        ("k40s.io/enforcment", "k40s.io/enforcement"),
        ("k40s.io/metrics", "k40s.io/metric"),
        ("k40s.io/zzz", "one of k40s.io/criticality, k40s.io/tasks"),
        ("k40s.io/", "one of k40s.io/criticality, k40s.io/tasks"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_that_is_right(key: str, right: str) -> None:
    verdict = validate(make_review("Pod", make_pod({key: "LOW"})))

    assert f"found the annotation {key}, expected {right}" in verdict.refusal


def test_what_has_to_be_an_annotation_is_no_label() -> None:
    verdict = validate(make_review("Pod", make_pod(labels={"k40s.io/tasks": "x"})))

    assert "found the label k40s.io/tasks, expected an annotation k40s.io/tasks" in verdict.refusal


def test_a_misspelt_key_comes_before_what_it_leads_to() -> None:
    verdict = validate(make_review("Pod", make_pod({"k40s.io/critcality": "HI"} | BAD)))

    first, second = verdict.refusal.split("; ", 1)
    assert "k40s.io/critcality" in first
    assert second == FAULT


def test_the_pods_own_metric_and_its_networks_are_read_as_well() -> None:
    for key in ("k40s.io/metric", "k40s.io/network"):
        assert key in validate(make_review("Pod", make_pod({key: "{"}))).refusal


def test_containers_are_those_of_the_object() -> None:
    tasks = '[{"name": "t", "container": "b", "wcet": "1ms", "period": "9ms"}]'
    said = {"k40s.io/criticality": "LOW", "k40s.io/tasks": tasks}

    right = validate(make_review("Job", wrap("Job", make_pod(said, containers=("a", "b")))))
    wrong = validate(make_review("Job", wrap("Job", make_pod(said, containers=("a", "c")))))

    assert right.refusal == ""
    assert "one of the pod's containers: a, c" in wrong.refusal


def test_an_update_is_refused_for_a_new_fault_alone() -> None:
    former = make_pod(BAD)
    same = make_pod(BAD | {"other": "x"})
    worse = make_pod(BAD | {"k40s.io/metric": "{"})

    assert validate(make_review("Pod", same, former=former)).refusal == ""
    assert "metric" in validate(make_review("Pod", worse, former=former)).refusal
    assert validate(make_review("Pod", make_pod(BAD), former=make_pod({}))).refusal == FAULT


def test_a_fault_that_stands_is_the_same_beside_another_container() -> None:
    """Its text names the containers that there are, and somebody adds one."""
    text = '[{"name":"t","period":"9ms","wcet":{"edge":"1ms"},"container":"gone"}]'
    texts = {"k40s.io/criticality": "HI", "k40s.io/tasks": text}
    former, more = make_pod(texts), make_pod(texts, containers=("main", "proxy"))

    assert "main, proxy" in validate(make_review("Pod", more)).refusal
    assert validate(make_review("Pod", more, former=former)).refusal == ""


def test_a_key_on_the_owner_alone_is_a_warning() -> None:
    item = wrap("Deployment", make_pod({}))
    item["metadata"]["annotations"] = {"k40s.io/criticality": "HI"}

    verdict = validate(make_review("Deployment", item))

    assert verdict.refusal == ""
    (warning,) = verdict.warnings
    assert warning.startswith("k40s.io/criticality on the Deployment itself reaches no pod: ")
    assert warning.endswith("it belongs into spec.template.metadata")


def test_a_cron_jobs_job_template_is_above_the_pod_too() -> None:
    item = wrap("CronJob", make_pod({}))
    item["spec"]["jobTemplate"]["metadata"]["labels"] = {"k40s.io/criticality": "HI"}

    assert len(validate(make_review("CronJob", item)).warnings) == 1


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "CronJob"])
@pytest.mark.parametrize(
    "item",
    [
        {},
        {"metadata": None, "spec": None},
        {"metadata": {"annotations": []}, "spec": {"template": 5, "jobTemplate": [], "x": None}},
        {"metadata": {"annotations": {"a": 1}}, "spec": {"containers": {}, "template": {}}},
    ],
)
def test_objects_of_other_forms_are_no_error(kind: str, item: object) -> None:
    assert validate(make_review(kind, item)).refusal == ""


def test_an_annotation_that_is_no_text_is_refused() -> None:
    assert validate(make_review("Pod", make_pod({"k40s.io/criticality": None}))).refusal != ""


def test_other_kinds_are_not_ours() -> None:
    assert validate(make_review("Service", make_pod(BAD))).refusal == ""


def test_a_text_without_end_is_refused_in_a_short_one() -> None:
    verdict = validate(make_review("Pod", make_pod({f"k40s.io/{'x' * 9000}": "y" * 200_000})))

    assert 0 < len(verdict.refusal) < 500


def test_of_many_unknown_keys_a_few_are_named() -> None:
    many = {f"k40s.io/x{number}": "" for number in range(5000)}

    verdict = validate(make_review("Pod", make_pod(many)))
    fewer = validate(
        make_review("Pod", make_pod(dict(list(many.items())[9:])), former=make_pod(many))
    )

    assert verdict.refusal.count("pod.invalid-annotation") == 3
    assert fewer.refusal == ""
