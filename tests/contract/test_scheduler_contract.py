"""What a real kube-scheduler does with the real extender, under the configuration that is shipped.

The facts that cost others most. etcd, API server, scheduler and extender are real, over TLS; the
nodes are registered objects without kubelets, and rubicante is a stand-in.
"""

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from k40s.annotations import (
    ALLOCATION_KEY,
    CRITICALITY_KEY,
    TASKS_KEY,
    format_cpu_state,
)
from k40s.runtime.tls import TlsFiles
from localcluster.binaries import Binaries
from localcluster.control_plane import ControlPlane
from tests.fakes.extender_process import (
    SCHEDULER,
    RunningExtender,
    count,
    issue_certificates,
    scheduler_calls,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.extender_world import (
    FakeRubicante,
    make_cpu_node,
    make_cpu_state,
    make_task,
)
from tests.fakes.registered_nodes import (
    PODS,
    Api,
    annotate_node,
    assured,
    create_pods,
    delete_pods,
    get_pod,
    long_lived,
    make_spec,
    prepare,
    refusal_of,
    register_nodes,
    wait_until,
)
from tests.fakes.rubicante_server import serve_rubicante

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

WEAK = [f"weak-{number}" for number in range(4)]
WATCHED_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that runs."""

    api: Api
    plane: ControlPlane
    extender: RunningExtender
    certificates: dict[str, TlsFiles]
    book: FakeRubicante

    def calls(self, verb: str) -> int:
        return count(self.extender.probes, f'k40s_extender_call_seconds_count{{verb="{verb}"}}')

    def call(self, verb: str, body: object) -> dict[str, Any]:
        """Call the extender as the scheduler does."""
        with scheduler_calls(self.certificates) as pool:
            answer = pool.request("POST", f"{self.extender.url}/{verb}", body=json.dumps(body))
        assert answer.status == 200
        document: dict[str, Any] = json.loads(answer.data)
        return document


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Bench]:
    place = tmp_path_factory.mktemp("contract")
    certificates = issue_certificates(place / "certificates")
    book = FakeRubicante(make_cpu_node(cores=(0, 1)))
    with (
        serve_rubicante(book, certificates["k40s-rubicante-tls"]) as endpoint,
        ControlPlane.on_loopback(directory=place, binaries=binaries) as plane,
    ):
        api = Api(plane)
        prepare(api)
        state = long_lived(format_cpu_state(make_cpu_state(book.node, endpoint=endpoint)))
        register_nodes(
            api,
            ["strong"],
            annotations=lambda _name: assured(20) | {"node.k40s.io/cpu-state": state},
            leases=("malacoda", "rubicante"),
        )
        register_nodes(api, WEAK, annotations=lambda _name: assured(10))
        extender = start_extender(plane, certificates)
        plane.start_scheduler(scheduler_configuration(extender), name="k40s-scheduler")
        yield Bench(api=api, plane=plane, extender=extender, certificates=certificates, book=book)
        api.close()


@pytest.fixture(autouse=True)
def clean(bench: Bench) -> Iterator[None]:
    """Every test begins with no pods and a node for HI that is not fit for it."""
    annotate_node(bench.api, "strong", assured(10))
    yield
    delete_pods(bench.api)
    wait_until(lambda: not bench.api.request("GET", PODS)["items"])


def pod(name: str, criticality: str, **annotations: str) -> dict[str, Any]:
    return make_spec(
        name, scheduler=SCHEDULER, annotations={CRITICALITY_KEY: criticality} | annotations
    )


def node_of(bench: Bench, name: str) -> str:
    return str(get_pod(bench.api, name)["spec"].get("nodeName", ""))


def calls_while_pending(bench: Bench, spec: dict[str, Any]) -> int:
    """Filter calls for one pod in ten seconds."""
    before = bench.calls("filter")
    create_pods(bench.api, [spec])
    wait_until(lambda: refusal_of(bench.api, spec["metadata"]["name"]))
    threading.Event().wait(WATCHED_S)
    return bench.calls("filter") - before


def test_one_refused_pod_causes_at_most_two_filter_calls_in_ten_seconds(bench: Bench) -> None:
    calls = calls_while_pending(bench, pod("refused", "HI"))

    assert 1 <= calls <= 2
    assert "assurance.too-low" in refusal_of(bench.api, "refused")


def test_an_invalid_pod_is_told_why_and_causes_no_more_calls(bench: Bench) -> None:
    calls = calls_while_pending(bench, pod("invalid", "HIGH"))

    message = refusal_of(bench.api, "invalid")
    assert 1 <= calls <= 2
    assert "pod.invalid-annotation: k40s.io/criticality: found 'HIGH'" in message


def test_a_refused_pod_that_outranks_others_does_not_loop_through_preemption(
    bench: Bench,
) -> None:
    low = [pod(f"low-{number}", "NO") for number in range(4)]
    for spec in low:
        spec["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "20"
    create_pods(bench.api, low)
    wait_until(lambda: all(node_of(bench, f"low-{number}") for number in range(4)))
    high_class = {"metadata": {"name": "high"}, "value": 1000}
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    bench.api.request("POST", path, high_class, accepted=(409,))
    spec = pod("outranking", "HI")
    spec["spec"]["priorityClassName"] = "high"

    calls = calls_while_pending(bench, spec)

    assert 1 <= calls <= 2


def test_a_change_of_a_nodes_annotation_brings_a_refused_pod_back(bench: Bench) -> None:
    create_pods(bench.api, [pod("waiting", "HI")])
    wait_until(lambda: refusal_of(bench.api, "waiting"))
    before = node_of(bench, "waiting")

    # The scheduler may hear of a change before the extender does, and then waits for the next one.
    levels = itertools.cycle((20, 19))

    def is_bound_after_a_change() -> bool:
        annotate_node(bench.api, "strong", assured(next(levels)))
        threading.Event().wait(1)
        return bool(node_of(bench, "waiting"))

    wait_until(is_bound_after_a_change)

    assert before == ""
    assert node_of(bench, "waiting") == "strong"


def test_binding_again_for_the_same_uid_changes_nothing(bench: Bench) -> None:
    annotate_node(bench.api, "strong", assured(20))
    tasks = json.dumps([make_task("20ms", "200ms")])
    create_pods(bench.api, [pod("bound", "HI", **{TASKS_KEY: tasks})])
    wait_until(lambda: node_of(bench, "bound"))
    first, book, generation = get_pod(bench.api, "bound"), bench.book.node, bench.book.generation
    args = {
        "PodName": "bound",
        "PodNamespace": "default",
        "PodUID": first["metadata"]["uid"],
        "Node": "strong",
    }

    answers = [bench.call("bind", args) for _ in range(3)]

    assert answers == [{"Error": ""}] * 3
    assert ALLOCATION_KEY in first["metadata"]["annotations"]
    assert get_pod(bench.api, "bound") == first
    assert bench.book.node == book
    assert bench.book.generation == generation


def test_binding_a_bound_pod_elsewhere_is_refused_and_changes_nothing(bench: Bench) -> None:
    create_pods(bench.api, [pod("settled", "LOW")])
    wait_until(lambda: node_of(bench, "settled"))
    first = get_pod(bench.api, "settled")
    elsewhere = next(name for name in WEAK if name != first["spec"]["nodeName"])

    answer = bench.call(
        "bind",
        {
            "PodName": "settled",
            "PodNamespace": "default",
            "PodUID": first["metadata"]["uid"],
            "Node": elsewhere,
        },
    )

    assert answer["Error"].startswith("pod.bound-elsewhere")
    assert get_pod(bench.api, "settled") == first
