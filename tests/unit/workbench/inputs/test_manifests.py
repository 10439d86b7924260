import json

import pytest
import yaml

from k40s.criticality import Criticality
from k40s.errors import InvalidInputError
from workbench.inputs.document import read_documents
from workbench.inputs.manifests import Manifest, is_manifest, read_manifest
from workbench.inputs.pods import Pod

TASKS = '[{"name": "frame", "period": "200ms", "wcet": "20ms"}]'
METADATA = {"annotations": {"k40s.io/criticality": "LOW", "k40s.io/tasks": TASKS}}
SPEC = {
    "schedulerName": "k40s-scheduler",
    "containers": [{"name": "grab", "image": "camera"}],
}
TEMPLATE = {"metadata": METADATA, "spec": SPEC}
PLAIN = {"containers": [{"name": "web"}]}


def manifest(kind: str, name: str = "camera", **fields: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def pod(name: str = "camera", **metadata: object) -> dict[str, object]:
    return manifest("Pod") | {
        "metadata": {"name": name, **METADATA, **metadata},
        "spec": TEMPLATE["spec"],
    }


def read_all(*objects: object) -> Manifest:
    return read_text(yaml.safe_dump_all(objects))


def read_text(text: str) -> Manifest:
    return read_manifest(read_documents(text, source="pod.yaml"), source="pod.yaml")


def read(*objects: object) -> tuple[Pod, ...]:
    return read_all(*objects).pods


def told(*objects: object) -> list[str]:
    return [f"{remark.about}: {remark.says}" for remark in read_all(*objects).remarks]


def fault(*objects: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(*objects)
    return str(caught.value)


@pytest.mark.parametrize(
    "holder",
    [
        pod(),
        manifest("Deployment", spec={"replicas": 3, "template": TEMPLATE}),
        manifest("DaemonSet", spec={"template": TEMPLATE}),
        manifest("StatefulSet", spec={"template": TEMPLATE}),
        manifest("Job", spec={"template": TEMPLATE}),
        manifest("CronJob", spec={"jobTemplate": {"spec": {"template": TEMPLATE}}}),
        manifest("PodTemplate", template=TEMPLATE),
    ],
    ids=lambda holder: str(holder["kind"]),
)
def test_a_pod_is_found_in_whatever_makes_it(holder: dict[str, object]) -> None:
    (found,) = read(holder)

    assert found.name == "camera"
    assert found.workload.criticality is Criticality.LOW
    assert found.workload.tasks[0].container == "grab"


def test_what_is_not_judged_is_named_with_the_cause() -> None:
    plain = manifest("Pod", "web", spec=PLAIN)
    modest = pod("modest", annotations={"k40s.io/criticality": "NO"})

    found = told(manifest("Service", spec={}), plain, modest, manifest("List", items=None), pod())

    assert found == [
        "List camera: no items",
        "Service camera: no pod in it",
        "Pod web: it asks nothing of k40s: its pods count as criticality NO",
        "Pod modest: it asks nothing of k40s: its pods count as criticality NO",
    ]


def test_a_pod_with_criticality_alone_is_judged() -> None:
    (found,) = read(pod(annotations={"k40s.io/criticality": "HI"}))

    assert (found.workload.criticality, found.workload.tasks) == (Criticality.HI, ())


@pytest.mark.parametrize(("field", "count"), [("replicas", 3), ("parallelism", 0)])
def test_copies_are_named(field: str, count: int) -> None:
    kind = "Deployment" if field == "replicas" else "Job"

    found = told(manifest(kind, spec={field: count, "template": TEMPLATE}))

    assert found == [f"{kind} camera: one pod is judged, {field} is {count}"]


def test_copies_that_are_asked_for_beside_a_template_are_named() -> None:
    cron = {"jobTemplate": {"spec": {"parallelism": 2, "template": TEMPLATE}}}
    workers = {"replicas": 4, "template": TEMPLATE}
    groups = manifest("Job", "two", spec={"tasks": [workers, {"template": TEMPLATE}]})
    groups |= {"apiVersion": "batch.volcano.sh/v1alpha1"}

    assert told(manifest("CronJob", spec=cron), groups) == [
        "CronJob camera: one pod is judged, parallelism is 2",
        "Job two: one pod is judged, replicas is 4",
    ]


def test_templates_of_kinds_that_are_not_known_are_judged_too() -> None:
    rollout = manifest("Rollout", spec={"template": TEMPLATE}) | {"apiVersion": "argoproj.io/v1"}
    job = manifest("Job", "two", spec={"tasks": [{"template": TEMPLATE}, {"template": TEMPLATE}]})
    job |= {"apiVersion": "batch.volcano.sh/v1alpha1"}

    assert [each.name for each in read(rollout, job)] == ["camera", "two-1", "two-2"]


def test_a_list_of_one_kind_gives_its_items_kind_and_version() -> None:
    bare = {name: value for name, value in pod().items() if name not in ("kind", "apiVersion")}

    assert [each.name for each in read(manifest("PodList", items=[bare]))] == ["camera"]


def test_lists_in_lists_are_read() -> None:
    inner = manifest("List", items=[pod("b")])

    assert [each.name for each in read(manifest("List", items=[pod("a"), inner]))] == ["a", "b"]


MERGED = """
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata: &m
      name: camera
      annotations:
        k40s.io/criticality: LOW
        k40s.io/tasks: '[{"name": "frame", "period": "200ms", "wcet": "20ms"}]'
    spec: &s {schedulerName: k40s-scheduler, containers: [{name: grab}]}
  - apiVersion: v1
    kind: Pod
    metadata:
      <<: *m
      name: second
    spec: *s
"""


def test_metadata_that_is_merged_counts() -> None:
    assert [each.name for each in read_text(MERGED).pods] == ["camera", "second"]


def test_a_quoted_merge_key_merges_nothing_which_is_an_error() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_text(MERGED.replace("<<:", '"<<":'))

    assert 'at $.items[1].metadata["<<"].annotations["k40s.io/criticality"]' in str(caught.value)


def test_keys_on_an_object_without_pods_are_named() -> None:
    workflow = manifest("Workflow", spec={"templates": [{"metadata": METADATA, "container": {}}]})
    service = manifest("Service") | {"metadata": {"labels": {"k40s.io/criticality": "LOW"}}}

    assert told(workflow, service, pod()) == [
        "Workflow camera: no pod in it, so that its k40s.io/criticality counts nowhere",
        "Service: no pod in it, so that its k40s.io/criticality counts nowhere",
    ]


def test_empty_documents_and_comments_are_no_objects() -> None:
    text = yaml.safe_dump(pod())

    assert len(read_text(f"# a\n---\n{text}---\n# nothing\n---\n").pods) == 1


def test_names_that_a_node_holds_already_are_not_given_again() -> None:
    documents = read_documents(yaml.safe_dump_all([pod(), pod("camera-1"), pod()]), source="p.yaml")

    found = read_manifest(documents, source="p.yaml", taken=["camera-2"])

    assert [each.name for each in found.pods] == ["camera-3", "camera-1", "camera-4"]


def test_the_items_of_a_list_are_read() -> None:
    found = read(manifest("List", items=[pod("a"), pod("b")]))

    assert [each.name for each in found] == ["a", "b"]


def test_objects_of_one_name_are_told_apart() -> None:
    found = read(pod(), manifest("Job", spec={"template": TEMPLATE}))

    assert [each.name for each in found] == ["camera-1", "camera-2"]


def test_a_generated_name_will_do() -> None:
    found = read(
        manifest("Pod")
        | {"metadata": {"generateName": "cam-", **METADATA}, "spec": TEMPLATE["spec"]}
    )

    assert found[0].name == "cam-"


def test_only_objects_with_kind_and_version_are_manifests() -> None:
    yes, no = read_documents("apiVersion: v1\nkind: Pod\n---\npods: []\n", source="x.yaml")

    assert is_manifest(yes)
    assert not is_manifest(no)


MISPLACED = {
    "on a Deployment": (
        manifest("Deployment", spec={"template": TEMPLATE | {"metadata": {}}})
        | {"metadata": {"name": "camera", **METADATA}},
        "found the key k40s.io/criticality, expected this key in $.spec.template.metadata.annotati",
    ),
    "as a label of a Deployment": (
        manifest("Deployment", spec={"template": TEMPLATE | {"metadata": {}}})
        | {"metadata": {"name": "camera", "labels": {"k40s.io/criticality": "HI"}}},
        'at $.metadata.labels["k40s.io/criticality"]: found the key',
    ),
    "other than in the template": (
        manifest("StatefulSet", spec={"template": TEMPLATE})
        | {"metadata": {"name": "x", "annotations": {"k40s.io/criticality": "HI"}}},
        "found 'HI', expected the same as in $.spec.template.metadata.annotations, which alone",
    ),
    "on the Job of a CronJob": (
        manifest(
            "CronJob",
            spec={"jobTemplate": {"metadata": METADATA, "spec": {"template": {"spec": SPEC}}}},
        ),
        "at $.spec.jobTemplate.metadata.annotations",
    ),
    "on the template of a kind that is not known": (
        manifest("Rollout", spec={"template": {"spec": SPEC}})
        | {"apiVersion": "argoproj.io/v1", "metadata": {"name": "x", **METADATA}},
        "expected this key in $.spec.template.metadata.annotations",
    ),
    "in the spec of a pod": (
        pod() | {"spec": SPEC | {"annotations": METADATA["annotations"]}},
        'at $.spec.annotations["k40s.io/criticality"]: found the key',
    ),
    "beside the annotations": (
        pod(**{"k40s.io/criticality": "LOW"}),
        'at $.metadata["k40s.io/criticality"]: found the key',
    ),
    "in a container": (
        pod() | {"spec": SPEC | {"containers": [{"name": "grab", "k40s.io/criticality": "LOW"}]}},
        'at $.spec.containers[0]["k40s.io/criticality"]: found the key',
    ),
    "tasks as a label": (
        pod(labels={"k40s.io/tasks": "x"}),
        "found the label k40s.io/tasks, expected this key in $.metadata.annotations",
    ),
}


@pytest.mark.parametrize(("holder", "error"), MISPLACED.values(), ids=MISPLACED)
def test_a_key_that_reaches_no_pod_is_an_error(holder: dict[str, object], error: str) -> None:
    assert error in fault(holder)


def test_a_key_that_the_template_has_too_may_be_on_its_deployment() -> None:
    labels = {"labels": {"k40s.io/criticality": "LOW"}}
    holder = manifest(
        "Deployment", spec={"template": TEMPLATE, "selector": {"matchLabels": labels}}
    )

    assert len(read(holder | {"metadata": {"name": "camera", **METADATA, **labels}})) == 1


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("k40s.io/task", "the key k40s.io/tasks"),
        ("k40s.io/Tasks", "the key k40s.io/tasks"),
        ("K40S.io/tasks", "the key k40s.io/tasks"),
        ("k4os.io/tasks", "the key k40s.io/tasks"),
        ("k40s.com/tasks", "the key k40s.io/tasks"),
        ("k8s.io/tasks", "the key k40s.io/tasks"),
        ("k04s.io/criticality", "the key k40s.io/criticality"),
        ("k40s.io/critcality", "the key k40s.io/criticality"),
        ("k40s.io/critical", "one of the keys k40s.io/criticality, k40s.io/tasks"),
        ("k40s.io.tasks", "the key k40s.io/tasks"),
        ("k40s/enforcement", "the key k40s.io/enforcement"),
        ("pod.k40s.io/tasks", "the key k40s.io/tasks"),
        ("k40s.io/platform", "one of the keys k40s.io/criticality"),
        ("status.k40s.io/cpu", "one of the keys k40s.io/criticality"),
    ],
)
@pytest.mark.parametrize("part", ["annotations", "labels"])
def test_a_misspelt_key_is_an_error(key: str, expected: str, part: str) -> None:
    whole = pod(labels={}) | {}
    whole["metadata"][part] = whole["metadata"][part] | {key: "x"}  # type: ignore[index]

    assert f"found the key {key}, expected {expected}" in fault(whole)


@pytest.mark.parametrize(
    "key", ["app", "k8s.io/name", "app.kubernetes.io/part-of", "kubectl.kubernetes.io/x", "tasks"]
)
def test_keys_of_others_are_nobodys_business(key: str) -> None:
    assert len(read(pod(labels={key: "x"}))) == 1


def test_a_pod_saved_from_the_cluster_may_have_what_was_granted_and_its_node() -> None:
    granted = METADATA["annotations"] | {"status.k40s.io/cpu": "{}"}
    saved = pod(uid="6f1c2a9b", annotations=granted) | {"spec": SPEC | {"nodeName": "edge-1"}}

    assert len(read(saved)) == 1


@pytest.mark.parametrize(
    ("objects", "error"),
    [
        (
            (manifest("Service"),),
            "k40s.io/network); there is Service camera: no pod in it",
        ),
        ((manifest("deployment"),), "at $.kind: found 'deployment', expected Deployment"),
        ((pod() | {"apiVersion": None},), "at $.apiVersion: found null, expected a text"),
        (({"kind": "Pod"},), "pod.yaml: found none, expected a field apiVersion"),
        ((manifest("List", items=[None]),), "at $.items[0]: found none, expected a Kubernetes obj"),
        (
            (pod() | {"spec": PLAIN | {"containers": [{"name": "grab"}]}},),
            "at $.spec: found no schedulerName, expected schedulerName: k40s-scheduler, beca",
        ),
        (
            (pod() | {"spec": SPEC | {"schedulerName": "default-scheduler"}},),
            "at $.spec.schedulerName: found 'default-scheduler', expected schedulerName: k40s-sche",
        ),
        (
            (pod() | {"spec": SPEC | {"nodeName": "edge-1"}},),
            "at $.spec.nodeName: found 'edge-1', expected no nodeName, because the pod has to be",
        ),
        (
            (pod(name=1),),
            "at $.metadata.name: found 1, expected a name, which is text: in quotes if",
        ),
        (
            (pod(name="x\nyes"),),
            "at $.metadata.name: found 'x\\nyes', expected a name, which is tex",
        ),
        (
            (pod() | {"spec": SPEC | {"containers": [{"name": "A b"}]}},),
            "at $.spec.containers[0].name: found 'A b', expected a container's name, of lower-case",
        ),
        (
            (pod() | {"spec": SPEC | {"containers": [{"name": "grab"}, {"name": "grab"}]}},),
            "at $.spec.containers[1].name: found 'grab', expected a name used once per pod",
        ),
        (
            (pod(annotations={"k40s.io/tasks": [{"name": "frame"}]}),),
            "found an array of 1 items, expected a text: a | behind the key, and JSON in the lines",
        ),
        (
            (pod(annotations={"k40s.io/tasks": None}),),
            "found null, expected a text",
        ),
        (
            (pod(annotations={"other": 1}),),
            'found 1, expected a text: put it into quotes, as in "1"',
        ),
        (({"tasks": []},), "pod.yaml: found none, expected a Kubernetes object with apiVersion"),
        (
            (manifest("Deployment", spec={}),),
            "pod.yaml at $.spec: found none, expected a field template",
        ),
        (
            (manifest("Pod", spec={"containers": []}),),
            "pod.yaml at $.spec.containers: found an array of 0 items, expected an array of 1",
        ),
        (
            (pod(annotations={"k40s.io/criticality": False}),),
            'at $.metadata.annotations["k40s.io/criticality"]: found false, expected a text',
        ),
        (
            (pod(annotations=METADATA["annotations"] | {"k40s.io/criticality": "low"}),),
            "pod.yaml at $: k40s.io/criticality: found 'low', expected one of",
        ),
        (
            (
                manifest(
                    "Job",
                    spec={
                        "template": {
                            "metadata": {
                                "annotations": {
                                    "k40s.io/criticality": "LOW",
                                    "k40s.io/tasks": TASKS.replace('"20ms"', "20"),
                                }
                            },
                            "spec": TEMPLATE["spec"],
                        }
                    },
                ),
            ),
            "pod.yaml at $.spec.template: k40s.io/tasks at $[0].wcet: found 20, expected a durat",
        ),
    ],
)
def test_a_fault_names_the_object_and_the_place_in_it(
    objects: tuple[object, ...], error: str
) -> None:
    assert error in fault(*objects)


def with_init_container(**fields: object) -> dict[str, object]:
    task = {"name": "t", "container": "log", "period": "10ms", "wcet": "1ms"}
    annotations = {"k40s.io/criticality": "LOW", "k40s.io/tasks": json.dumps([task])}
    return manifest(
        "Pod",
        metadata={"name": "p", "annotations": annotations},
        spec={
            "schedulerName": "k40s-scheduler",
            "containers": [{"name": "app"}],
            "initContainers": [{"name": "log", **fields}],
        },
    )


def test_a_task_may_be_in_an_init_container_that_runs_beside_the_others() -> None:
    (found,) = read(with_init_container(restartPolicy="Always"))

    assert found.workload.tasks[0].container == "log"


def test_a_task_in_an_init_container_that_ends_first_is_told_what_would_be_right() -> None:
    assert "restartPolicy: Always on this one" in fault(with_init_container())


def test_a_pods_own_metric_is_checked_as_the_monitor_reads_it() -> None:
    annotations = METADATA["annotations"] | {"k40s.io/metric": '{"port": 9, "metric": "late"}'}

    says = fault(pod(annotations=annotations))

    assert "k40s.io/metric" in says
    assert "one of the fields above and below" in says


def test_a_pod_with_a_metric_that_can_be_read_is_analyzed() -> None:
    text = '{"port": 9, "metric": "late", "above": 1}'

    (found,) = read(pod(annotations=METADATA["annotations"] | {"k40s.io/metric": text}))

    assert found.name == "camera"
