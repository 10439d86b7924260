import pytest
import yaml

from k40s.criticality import Criticality
from k40s.errors import InvalidInputError
from workbench.document import read_documents
from workbench.manifests import is_manifest, read_manifest_pods
from workbench.pods import Pod

TASKS = '[{"name": "frame", "period": "200ms", "wcet": "20ms"}]'
METADATA = {"annotations": {"k40s.io/criticality": "LOW", "k40s.io/tasks": TASKS}}
TEMPLATE = {"metadata": METADATA, "spec": {"containers": [{"name": "grab", "image": "camera"}]}}


def manifest(kind: str, name: str = "camera", **fields: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def pod(name: str = "camera", **metadata: object) -> dict[str, object]:
    return manifest("Pod") | {
        "metadata": {"name": name, **METADATA, **metadata},
        "spec": TEMPLATE["spec"],
    }


def read(*objects: object) -> tuple[Pod, ...]:
    return read_manifest_pods(read_documents(yaml.safe_dump_all(objects), source="pod.yaml"))


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


def test_other_objects_and_pods_without_tasks_are_left_out() -> None:
    plain = manifest("Pod", "web", spec={"containers": [{"name": "web"}]})

    found = read(manifest("Service", spec={}), plain, pod())

    assert [each.name for each in found] == ["camera"]


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


@pytest.mark.parametrize(
    ("objects", "error"),
    [
        ((manifest("Service"),), "pod.yaml: found Service, expected an object with a pod that has"),
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
