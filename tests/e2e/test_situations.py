"""What is wrong with my pod: on a real cluster the commands of docs/situations.md name the cause.

Throttled and migrated are asked about where they are brought about: test_suspect_named.py and
test_migration.py.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.demo import stage_of
from cli.exit_status import BAD_INPUT, DOES_NOT_HOLD
from demo.pods import NAMESPACE, PERIODIC, Manifest, real_time_pod, sleeping_pod
from demo.stage import HI_NODE, Stage
from localcluster.cluster import Cluster
from localcluster.errors import CommandError
from tests.e2e import test_networks
from tests.e2e.asking import Answer, Operator, operator_of
from tests.e2e.patience import wait_until
from tests.e2e.test_migration import HARDWARE, annotate
from tests.e2e.test_silent_daemon import LEASE_SECONDS, stopped
from tests.fixtures.situations import missing

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

plant = test_networks.plant
NAMES = ("arm", "filler", "camera")
TEAM = "bounded-team"
SOON = 90.0
LONG = 180.0


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return operator_of(cluster, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    """The real-time node is fit for HI; nothing of a situation is left on it."""
    stage = stage_of(cluster)
    wait_until("it is fit", lambda: stage.level(stage.real_time_node) >= HI_NODE, seconds=LONG)
    former = stage.reserved()
    yield stage
    stage.observer.delete(*NAMES)
    wait_until("room is given back", lambda: stage.reserved() <= former, seconds=SOON)


def periodic(
    name: str,
    wcet: object,
    *,
    criticality: str = "HI",
    period_ms: int = 100,
    namespace: str = NAMESPACE,
) -> Manifest:
    """A pod whose task does almost nothing, whatever its WCET."""
    period = period_ms * 10**6
    script = PERIODIC.format(task=name, work=10**6, period=period, deadline=period)
    tasks: list[object] = [{"name": name, "period": f"{period_ms}ms", "wcet": wcet}]
    return real_time_pod(
        name, criticality=criticality, script=script, tasks=tasks, namespace=namespace
    )


def check(cause: str, answer: Answer, *, status: int) -> None:
    print(f"{cause}:\n{answer.text}")  # noqa: T201  # what an operator sees belongs into the report
    assert missing(cause, answer.text) == [], answer.text
    assert answer.status == status, answer.text


def test_a_misspelt_key_is_named_at_apply_and_before_it(stage: Stage, operator: Operator) -> None:
    pod = json.loads(json.dumps(sleeping_pod("arm", criticality="HI")))
    pod["metadata"]["annotations"] = {"k40s.io/critcality": "HI"}

    with pytest.raises(CommandError) as refused:
        stage.observer.create(pod)
    answer = operator.explain("-f", "-", stdin=json.dumps(pod))

    assert "expected k40s.io/criticality" in str(refused.value)
    check("misspelt key", answer, status=BAD_INPUT)


def test_a_platform_without_a_wcet_is_named(stage: Stage, operator: Operator) -> None:
    stage.observer.create(periodic("arm", {"xeon": "10ms"}))

    check("no platform", operator.explain("arm"), status=DOES_NOT_HOLD)


def test_a_level_that_is_too_low_is_named(
    cluster: Cluster, stage: Stage, operator: Operator
) -> None:
    node = stage.real_time_node
    former = stage.observer.node_annotation(node, HARDWARE)
    annotate(cluster, node, {HARDWARE: "0"})
    try:
        wait_until("its level has fallen", lambda: stage.level(node) < HI_NODE, seconds=SOON)
        stage.observer.create(sleeping_pod("arm", criticality="HI"))
        wait_until(
            "it is refused",
            lambda: "assurance.too-low" in stage.observer.refusals("arm"),
            seconds=SOON,
        )
        answer = operator.explain("arm")
    finally:
        annotate(cluster, node, {HARDWARE: former})

    check("node too low", answer, status=DOES_NOT_HOLD)
    assert f"{node}: assurance.too-low" in answer.text


def test_who_fills_a_core_and_what_is_free_is_told(stage: Stage, operator: Operator) -> None:
    stage.create_and_wait([periodic("filler", {"edge": "15ms"})], ["filler"])
    stage.observer.create(periodic("arm", {"edge": "36ms"}))
    wait_until("it is refused", lambda: "cpu." in stage.observer.refusals("arm"), seconds=SOON)

    answer = operator.explain("arm")

    check("core full", answer, status=DOES_NOT_HOLD)
    assert f"it fits without {NAMESPACE}/filler (HI" in answer.text
    shown = operator.k40s("top", "node", stage.real_time_node)
    assert "filler" in shown.text, shown.text


def test_who_holds_the_slots_of_a_full_network_is_told(plant: Stage, operator: Operator) -> None:
    for name in test_networks.PODS[:2]:
        test_networks.create(plant, name)
        plant.wait_running(name, seconds=LONG)
    test_networks.create(plant, "slot-3")
    wait_until("it is refused", lambda: plant.observer.refusals("slot-3"), seconds=SOON)

    answer = operator.explain("slot-3")

    check("slot full", answer, status=DOES_NOT_HOLD)
    assert f"{NAMESPACE}/slot-1 (NO)" in answer.text


def test_a_silent_daemon_is_named_by_its_lease(
    cluster: Cluster, stage: Stage, operator: Operator
) -> None:
    with stopped(cluster, "rubicante"):
        threading.Event().wait(LEASE_SECONDS + 2)
        stage.observer.create(periodic("arm", {"edge": "2ms"}))
        answer = operator.explain("arm")
        nodes = operator.k40s("top", "nodes")

    check("silent daemon", answer, status=DOES_NOT_HOLD)
    assert "rubicante silent" in nodes.text, nodes.text


@pytest.fixture
def team(cluster: Cluster) -> Iterator[Stage]:
    """A namespace that may have one and a half of its pods."""
    stage = stage_of(cluster)
    stage = replace(stage, observer=replace(stage.observer, namespace=TEAM))
    tenant = {
        "apiVersion": "k40s.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": TEAM},
        "spec": {"namespaces": [TEAM], "bandwidth": "75m"},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}
    stage.observer.create(namespace, tenant)
    account = ("get", "serviceaccount", "default", f"--namespace={TEAM}", "--ignore-not-found")
    wait_until("pods may be made", lambda: cluster.kubectl(*account), seconds=SOON)
    yield stage
    cluster.kubectl("delete", "namespace", TEAM, timeout=180)
    cluster.kubectl("delete", "tenant", TEAM)


def test_a_tenants_bound_is_told_with_the_least_that_would_do(
    cluster: Cluster, team: Stage, operator: Operator
) -> None:
    first, arm = (
        periodic(name, {"edge": "25ms"}, criticality="LOW", period_ms=500, namespace=TEAM)
        for name in ("first", "arm")
    )
    team.observer.create(first)
    wait_until("the first is bound", lambda: team.observer.node_of("first"), seconds=LONG)
    team.observer.create(arm)
    events = ("get", "events", f"--namespace={TEAM}", "--output=json")
    wait_until("it is refused", lambda: "tenant." in cluster.kubectl(*events), seconds=SOON)

    answer = operator.explain("arm", "-n", TEAM)

    check("tenant's bound", answer, status=DOES_NOT_HOLD)
    assert f"it fits once Tenant {TEAM} may use 0.100 CPUs" in answer.text


def test_for_whom_a_preempted_pod_had_to_go_is_told(stage: Stage, operator: Operator) -> None:
    camera = periodic("camera", {"edge": "15ms"}, criticality="LOW", period_ms=200)
    stage.create_and_wait([camera], ["camera"])
    stage.observer.create(periodic("arm", {"edge": "36ms"}))
    wait_until("it is bound", lambda: stage.observer.node_of("arm"), seconds=LONG)
    wait_until(
        "the event is written",
        lambda: "PreemptedByMoreCritical" in operator.events_of("camera").text,
        seconds=SOON,
    )

    check("preempted", operator.events_of("camera"), status=0)
    gone = operator.explain("camera")
    assert "--field-selector involvedObject.name=camera" in gone.text, gone.text
    assert gone.status == BAD_INPUT, gone.text


def test_an_installation_that_is_well_says_so(operator: Operator) -> None:
    def is_well() -> bool:
        return "FAULT" not in operator.k40s("status").text

    wait_until("no part has a fault", is_well, seconds=SOON)  # a daemon may be late just then
