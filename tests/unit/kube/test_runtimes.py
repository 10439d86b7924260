"""RuntimeClasses and the handlers of Nodes, of objects of any form."""

import pytest

from k40s.kube.objects.read import pod_record
from k40s.kube.objects.runtimes import node_runtimes, runtime_class_record


def node(status: object = None, labels: object = None) -> dict[str, object]:
    return {"metadata": {"name": "edge-1", "labels": labels}, "status": status}


def test_what_the_kubelet_publishes_counts_and_labels_beside_it_do_not() -> None:
    handlers: list[object] = [{"name": ""}, {"features": {}}, {"name": "kata"}, {"name": "runc"}]

    found = node_runtimes(node({"runtimeHandlers": handlers}, {"runtime.k40s.io/isolated": "true"}))

    assert found.handlers == {"kata", "runc"}
    assert not found.faults


@pytest.mark.parametrize("status", [None, {}, {"runtimeHandlers": None}, {"runtimeHandlers": []}])
def test_labels_count_where_the_kubelet_publishes_nothing(status: object) -> None:
    labels = {
        "runtime.k40s.io/kata": "true",
        "runtime.k40s.io/runc": "True",
        "runtime.k40s.io/": "false",
        "runtime.k40s.io": "true",
        "kata": "true",
    }

    assert node_runtimes(node(status, labels)).handlers == {"kata"}


@pytest.mark.parametrize(
    "handlers",
    ["kata", {"name": "kata"}, 7, True, [None], ["kata"], [{"name": 7}], [{"name": ["kata"]}]],
)
def test_handlers_that_cannot_be_read_are_none_and_labels_do_not_replace_them(
    handlers: object,
) -> None:
    found = node_runtimes(node({"runtimeHandlers": handlers}, {"runtime.k40s.io/kata": "true"}))

    assert not found.handlers
    assert [fault.field for fault in found.faults] == ["handlers"]


def test_labels_do_not_replace_a_status_that_cannot_be_read() -> None:
    found = node_runtimes(node("Ready", {"runtime.k40s.io/kata": "true"}))

    assert not found.handlers
    assert found.faults


def test_of_a_list_that_is_read_in_part_the_rest_counts() -> None:
    found = node_runtimes(node({"runtimeHandlers": [{"name": "kata"}, 7]}))

    assert found.handlers == {"kata"}
    assert found.faults


@pytest.mark.parametrize("labels", [None, [], "x", {"runtime.k40s.io/kata": None}])
def test_labels_of_another_form_declare_nothing(labels: object) -> None:
    assert not node_runtimes(node({}, labels)).handlers


@pytest.mark.parametrize("handler", [None, 7, [], {}, ""])
def test_a_class_whose_handler_cannot_be_read_has_none(handler: object) -> None:
    found = runtime_class_record({"metadata": {"name": "kata"}, "handler": handler})

    assert (found.name, found.handler) == ("kata", "")


def test_a_pods_runtime_class_is_read_and_one_of_another_form_is_a_fault() -> None:
    def pod(runtime_class: object) -> dict[str, object]:
        meta = {"uid": "u", "namespace": "n", "name": "p"}
        spec = {"containers": [{"name": "c"}], "runtimeClassName": runtime_class}
        return {"metadata": meta, "spec": spec}

    assert pod_record(pod("kata")).runtime_class == "kata"
    assert not pod_record(pod(None)).runtime_class
    assert [fault.field for fault in pod_record(pod(7)).faults] == ["runtime_class"]
