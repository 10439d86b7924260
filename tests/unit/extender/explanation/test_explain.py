"""Explanations of single refusals: the figures, who is in the way, and what was tried."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from fractions import Fraction

import pytest
from prometheus_client import generate_latest

from extender.app import create_app
from extender.cache.bound_pods import BoundPod
from extender.explanation.holders import keep_most
from extender.placement.admission_cache import AdmissionCache
from k40s.annotations import NetworkNodeState
from k40s.criticality import Criticality
from k40s.explanation.model import NodeExplanation, Obstacle
from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.network.model import Network
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.full_nodes import claiming, fill, publish, rt_pod
from tests.fakes.extender.networks import make_lan, make_stations, make_tdma, path, slot
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import (
    World,
    built_in,
    make_args,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

NODE = "edge-1"


def only(world: World, pod: object, name: str = NODE) -> NodeExplanation:
    (found,) = world.explain(pod, [name]).nodes
    return found


def full_world(*pods: dict[str, object]) -> World:
    world = World()
    fill(world, NODE, *(pods or (rt_pod("vision", "LOW", "60ms"),)))
    return world


def test_a_full_core_names_its_figures_the_pod_in_the_way_and_that_it_would_be_enough() -> None:
    found = only(full_world(), rt_pod("arm", "HI", "40ms"))

    assert found.reason == Reason.CPU_NO_BANDWIDTH
    assert (found.figures[0].what, found.figures[0].needed) == ("core 1, bandwidth", "0.402")
    assert found.figures[0].free.endswith("of 0.900")
    (obstacle,) = found.obstacles
    assert (obstacle.namespace, obstacle.pod, obstacle.criticality) == ("default", "vision", "LOW")
    assert obstacle.what.startswith("core 1: ")
    assert found.remedies[0].startswith("it fits without default/vision (LOW, ")
    assert "core 1 has the most left" in found.detail
    assert "The test davis-burns-2005+tick.6 found" in found.detail


@pytest.mark.parametrize(
    ("shared", "figures"), [(False, ["all cores together, bandwidth"]), (True, [])]
)
def test_where_the_node_as_a_whole_lacks_room_no_core_is_told_to_have_it(
    *, shared: bool, figures: list[str]
) -> None:
    node = replace(make_cpu_node(cores=(1, 2), node_capacity=Fraction(1, 5)), shared_groups=shared)
    world = World()
    publish(world, NODE, node)

    found = only(world, rt_pod("arm", "HI", "40ms"))

    assert found.reason == Reason.CPU_NODE_BANDWIDTH
    assert [figure.what for figure in found.figures] == figures


def test_a_pod_that_asks_for_less_is_tried_and_the_smallest_change_is_told() -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))

    found = only(world, rt_pod("big", "HI", "95ms"))

    assert found.reason is not None
    assert any("periods" in text for text in found.remedies)
    assert sum("WCETs" in text for text in found.remedies) <= 1


def test_several_pods_of_a_core_are_tried_together_where_no_single_one_is_enough() -> None:
    world = full_world(rt_pod("one", "LOW", "20ms"), rt_pod("two", "LOW", "15ms"))

    found = only(world, rt_pod("arm", "HI", "80ms"))

    together = [text for text in found.remedies if "the 2 pods on core 1" in text]
    assert len(together) == 1
    assert "default/one (LOW)" in together[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"core": 7}, "on any core"), ({}, "without the annotation k40s.io/enforcement")],
)
def test_a_requested_core_or_mechanism_is_tried_without(
    change: dict[str, object], words: str
) -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))
    pod = make_pod(criticality="LOW", tasks=[make_task() | change])
    if not change:
        meta = pod["metadata"]
        assert isinstance(meta, dict)
        meta["annotations"]["k40s.io/enforcement"] = "deadline"

    assert f"it fits {words}" in only(world, pod).remedies


def test_a_platform_without_a_wcet_is_named_beside_those_that_have_one() -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))
    task = {"name": "t", "period": "100ms", "wcet": {"xeon": "10ms"}}

    found = only(world, make_pod(criticality="HI", tasks=[task]))

    assert "Task t has WCETs for xeon" in found.detail
    assert "edge" in found.detail


def test_a_hazard_says_by_how_much_and_whether_it_would_fit_without() -> None:
    world = World()
    world.add(make_node(NODE, level=12, reduced=5, hazards=("cpu-system",)))

    found = only(world, make_pod(criticality="HI"))

    assert "is 12 of 20, and a HI pod needs 14" in found.detail
    assert "(cpu-system) has lowered it by 5" in found.detail
    assert found.remedies == ("it fits once the hazard is over and the level has recovered",)
    assert found.text.endswith("(cpu-system)")


def test_what_refuses_behind_too_low_an_assurance_is_told_as_well() -> None:
    world = World()
    world.add(make_node(NODE, level=5))

    found = only(world, make_pod(criticality="HI", tasks=[make_task()]))

    assert found.remedies == ()
    assert "would still refuse it: cpu.no-real-time" in found.detail


@pytest.mark.parametrize(("level", "reason"), [(20, "cpu.no-real-time"), (5, "assurance.too-low")])
def test_a_node_that_runs_no_rubicante_is_as_old_as_its_malacoda(level: int, reason: str) -> None:
    world = World()
    world.add(make_node(NODE, level=level), alive=False)
    world.beat(NODE, "malacoda")
    world.clock.advance(3)

    found = only(world, make_pod(criticality="HI", tasks=[make_task()]))

    assert (found.reason, found.age) == (reason, 3)


def test_a_real_time_node_whose_rubicante_was_never_heard_has_no_age() -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()), alive=False)
    world.beat(NODE, "malacoda")

    found = only(world, make_pod(criticality="HI", tasks=[make_task()]))

    assert (found.reason, found.age) == ("cpu.no-lease", None)


def test_a_silent_daemon_is_told_with_its_age() -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))
    world.clock.advance(90)
    world.beat(NODE, "malacoda")

    found = only(world, make_pod(criticality="HI", tasks=[make_task()]))

    assert found.reason == Reason.CPU_STATE_STALE
    assert "rubicante renewed its Lease rubicante-edge-1 1m30s ago" in found.detail
    assert found.age == 90


@pytest.mark.parametrize(
    ("record", "reason", "words"),
    [
        (make_node(NODE, level=20, cpu="{"), Reason.CPU_STATE_INVALID, "cannot be understood"),
        (make_node(NODE, level=20, real_time=True), Reason.CPU_STATE_UNKNOWN, "cpu-state"),
        (make_node(NODE, level=20), Reason.CPU_NO_REAL_TIME, "no real-time node"),
        (
            make_node(NODE, level=20, cpu=make_cpu_state(), platform="other"),
            Reason.CPU_PLATFORM_CHANGED,
            "platform is other",
        ),
        (make_node(NODE), Reason.ASSURANCE_UNKNOWN, "node.k40s.io/assurance"),
    ],
)
def test_a_state_that_is_not_usable_says_why(record: object, reason: Reason, words: str) -> None:
    world = World()
    world.add(record)  # type: ignore[arg-type]  # of the parameters above

    found = only(world, make_pod(criticality="HI", tasks=[make_task()]))

    assert found.reason == reason
    assert words in found.detail


def test_a_node_that_publishes_sums_alone_is_not_tried() -> None:
    world = World()
    node = make_cpu_node()
    fuller = replace(node, core_capacity=node.core_capacity / 100)
    world.add(make_node(NODE, level=20, cpu=make_cpu_state(fuller, complete=False)))
    world.cpu.query_reason = Reason.CPU_NO_BANDWIDTH

    found = only(world, make_pod(criticality="HI", tasks=[make_task()]))

    assert found.reason == Reason.CPU_NO_BANDWIDTH
    assert "Nothing was tried: only the node itself can judge a change." in found.detail


def test_a_full_cycle_names_the_network_its_share_and_its_pods() -> None:
    world = World()
    world.add(make_node(NODE, stations=make_stations()))
    world.declare(make_tdma(nodes=[NODE, "b"]))
    for number in range(12):
        pod = make_pod(f"s{number}", networks=[slot(payload="1400B")])
        if world.filter(pod, [NODE])["NodeNames"] == [NODE]:
            assert world.bind(pod, NODE) == ""
            world.watch_networks()
            world.watch_pod(record_of(pod, node=NODE))

    found = only(world, make_pod("late", networks=[slot(payload="1400B")]))

    assert found.reason == Reason.NETWORK_NO_SLOT
    assert found.figures[0].what == "network plant, share of the cycle"
    assert found.obstacles[0].what.startswith("network plant: 1 slot of edge-1")
    assert any(text.startswith("it fits without default/s") for text in found.remedies)


def test_a_path_says_which_delay_and_bandwidth_there_are() -> None:
    world = World()
    world.add(make_node(NODE), make_node("b"))
    world.declare(make_lan(nodes=[NODE, "b"]))

    slow = only(world, make_pod(networks=[path("b", delay="1ms")]))
    wide = only(world, make_pod(networks=[path("b", bandwidth="500Mbit")]))

    assert slow.reason == Reason.NETWORK_DELAY
    assert (slow.figures[0].needed, slow.figures[0].free) == ("at most 1ms", "2ms")
    assert "it fits with delays 2 times as long" in slow.remedies
    assert wide.reason == Reason.NETWORK_CAPACITY
    assert (wide.figures[0].needed, wide.figures[0].free) == ("500Mbit", "100Mbit")


def test_a_tenants_bound_says_what_is_used_and_which_bound_would_do() -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))
    world.bound_by(make_tenant(cpus="0.1", hi_pods=1))

    found = only(world, make_pod(criticality="HI", tasks=[make_task("20ms", "100ms")]))

    assert found.reason == Reason.TENANT_BANDWIDTH
    assert (found.figures[0].needed, found.figures[0].free) == ("0.200", "0.100 of 0.100")
    assert found.remedies == ("it fits once Tenant line may use 0.200 CPUs",)


def test_a_claim_names_the_claimant_and_when_it_ends() -> None:
    world = World()
    publish(world, NODE, make_cpu_node())
    world.watch_pod(claiming(world, rt_pod("first", "HI", "60ms"), NODE, seconds=60))

    found = only(world, rt_pod("second", "LOW", "30ms"))

    assert found.reason == Reason.CLAIM_HELD
    assert (found.obstacles[0].pod, found.obstacles[0].criticality) == ("first", "HI")
    assert found.remedies == ("it fits once the room that is held is given back",)


def test_a_missing_runtime_class_is_tried() -> None:
    world = World(classes={Criticality.HI: "kata"})
    world.add(make_node(NODE, level=20))
    world.runtimes.classes.upsert(RuntimeClassRecord(name="kata", handler="kata"))
    world.runtimes.nodes.upsert(NodeRuntimes(name=NODE, handlers=frozenset({"kata"})))

    found = only(world, make_pod(criticality="HI"))

    assert found.reason == Reason.ISOLATION_CLASS
    assert found.remedies == ("it fits with runtimeClassName: kata",)


def test_the_nearest_node_comes_first_and_the_best_before_it() -> None:
    world = full_world()
    world.add(make_node("low", level=5), make_node("best", level=20, cpu=make_cpu_state()))

    found = world.explain(rt_pod("arm", "HI", "40ms"))

    assert [one.name for one in found.nodes] == ["best", NODE, "low"]
    assert [part.name for part in found.nodes[0].parts] == ["assurance", "CPU left"]


def test_invalid_annotations_are_the_explanation() -> None:
    found = full_world().explain(make_pod(criticality="high"))

    assert found.fault is not None
    assert "k40s.io/criticality" in found.fault
    assert {one.reason for one in found.nodes} == {Reason.POD_INVALID.value}


def test_once_time_is_up_verdicts_stay_and_nothing_more_is_tried() -> None:
    world = World(patience=Nanoseconds(NS_PER_MS))
    fill(world, NODE, rt_pod("vision", "LOW", "60ms"))
    pod = rt_pod("arm", "HI", "40ms")
    world.filter(pod, [NODE])  # the verdict is cached

    found = only(world, pod)  # the pause before the first figure takes 1 ms

    assert found.reason == Reason.CPU_NO_BANDWIDTH
    assert "time was up" in found.detail


def test_it_keeps_no_pod_and_moves_no_metric() -> None:
    world = full_world()
    before = generate_latest(world.registry)
    pod = rt_pod("arm", "HI", "40ms")

    world.explain(pod)

    assert world.workloads.get("arm") is None
    assert generate_latest(world.registry) == before


class AsksMeanwhile:
    """A check during which somebody else asks for an explanation."""

    def __init__(self) -> None:
        self.ask: Callable[[], object] = lambda: None

    def refusals(self, *_arguments: object) -> Mapping[str, Reason]:
        self.ask()
        return {}


def test_a_bad_body_is_answered_400_and_whoever_asks_meanwhile_503() -> None:
    meanwhile = AsksMeanwhile()
    world = World(patience=Nanoseconds(NS_PER_MS), checks=(meanwhile,))
    client = create_app(verbs=world.verbs, metrics=world.metrics, ready=lambda: None).test_client()
    body = make_args(make_pod(), [NODE])
    answers = []
    meanwhile.ask = lambda: answers.append(client.post("/scheduler/explain", data=body))

    bad = client.post("/scheduler/explain", data=b"{}")
    good = client.post("/scheduler/explain", data=body)

    assert (bad.status_code, good.status_code) == (400, 200)
    assert [one.status_code for one in answers] == [503]
    assert "another explanation" in json.loads(answers[0].data)["error"]


def test_only_one_thread_waits_for_an_explanation_to_end() -> None:
    meanwhile = AsksMeanwhile()
    world = World(patience=Nanoseconds(60 * NS_PER_S), checks=(meanwhile,))
    client = create_app(verbs=world.verbs, metrics=world.metrics, ready=lambda: None).test_client()
    body = make_args(make_pod(), [NODE])
    refused: list[int] = []

    def ask() -> int:
        return client.post("/scheduler/explain", data=body).status_code

    with ThreadPoolExecutor(2) as threads:
        calls = []

        def ask_twice() -> None:
            meanwhile.ask = lambda: None
            calls.extend(threads.submit(ask) for _ in range(2))
            done, _ = wait(calls, timeout=120, return_when=FIRST_COMPLETED)
            refused.extend(one.result() for one in done)

        meanwhile.ask = ask_twice
        first = ask()
        answers = sorted(one.result() for one in calls)

    assert refused == [503]
    assert (first, answers) == (200, [200, 503])


def test_a_pod_that_runs_is_explained_as_if_what_it_holds_were_free_for_it() -> None:
    world = full_world()
    pod = rt_pod("vision", "LOW", "60ms")

    assert only(world, pod).reason is None


def test_several_tasks_are_told_with_the_largest_of_them() -> None:
    tasks = [make_task("40ms", "100ms", "a"), make_task("30ms", "100ms", "b")]

    found = only(full_world(), make_pod(criticality="HI", tasks=tasks))

    assert "The pod's 2 tasks need 0.70" in found.detail
    assert "the largest of them 0.40" in found.detail


def test_a_wcet_that_a_slow_platform_makes_longer_than_the_deadline_is_told() -> None:
    world = World()
    node = replace(make_cpu_node(), platform_factor=Fraction(3))
    record = make_node(NODE, level=20, cpu=make_cpu_state(node))
    factor = {"k40s.io/platform-factor": "3"}
    world.add(replace(record, annotations={**record.annotations, **factor}))
    task = {"name": "t", "period": "100ms", "wcet": "40ms"}

    found = only(world, make_pod(criticality="LOW", tasks=[task]))

    assert "Task t takes 120.000ms on the platform edge (factor 3)" in found.detail


def test_a_refusal_by_the_daemon_alone_is_told_apart() -> None:
    world = World()
    node = make_cpu_node()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state(node)))
    pod = make_pod(criticality="HI", tasks=[make_task()])
    state = world.cache.snapshot().nodes[NODE].cpu
    assert state is not None
    contract = world.workloads.read_pod(record_of(pod))
    world.admissions.invalidate(NODE, state, contract, Reason.CPU_KERNEL_REFUSED)

    found = only(world, pod)

    assert found.reason == Reason.CPU_KERNEL_REFUSED
    assert "The node's daemon refused it, though its published state has room." in found.detail


@pytest.mark.parametrize(
    ("stations", "reason", "words"),
    [
        (None, Reason.NETWORK_NO_DAEMON, "scarmiglione has not run on the node"),
        ("{", Reason.NETWORK_STATE_INVALID, "cannot be understood"),
        (make_stations("other"), Reason.NETWORK_NO_MECHANISM, "publishes no station on plant"),
        (make_stations(channels=0), Reason.NETWORK_NO_CHANNEL, "0 free channels"),
        (make_stations(health="no-sync"), Reason.NETWORK_UNHEALTHY, "no-sync"),
    ],
)
def test_a_station_that_keeps_no_slot_says_why(
    stations: NetworkNodeState | str | None, reason: Reason, words: str
) -> None:
    world = World()
    world.add(make_node(NODE, stations=stations))
    world.declare(make_tdma(nodes=[NODE]))

    found = only(world, make_pod(networks=[slot()]))

    assert found.reason == reason
    assert words in found.detail


@pytest.mark.parametrize(
    ("network", "reason", "words"),
    [
        (None, Reason.NETWORK_UNKNOWN, "requires the network plant"),
        (make_tdma(nodes=["b"]), Reason.NETWORK_NOT_MEMBER, "members of network plant are b"),
        (make_lan("plant", nodes=[NODE]), Reason.NETWORK_INEXPRESSIBLE, "has no cycle"),
    ],
)
def test_a_network_that_has_no_slot_for_the_node_says_why(
    network: Network | None, reason: Reason, words: str
) -> None:
    world = World()
    world.add(make_node(NODE, stations=make_stations()))
    world.declare(*([] if network is None else [network]))
    world.network_table.feed.replace(world.networks.records())

    found = only(world, make_pod(networks=[slot()]))

    assert found.reason == reason
    assert words in found.detail


def test_a_packet_that_no_cycle_holds_has_the_nearest_that_one_does() -> None:
    world = World()
    world.add(make_node(NODE, stations=make_stations()))
    world.declare(make_tdma(nodes=[NODE]))

    found = only(world, make_pod(networks=[slot(payload="9000B")]))

    assert found.reason == Reason.NETWORK_INEXPRESSIBLE
    assert "The nearest that it can: 1500B each 1ms" in found.detail


def test_a_tenant_that_cannot_be_told_and_one_that_is_declared_wrongly() -> None:
    twice, wrong = World(), World()
    for world in (twice, wrong):
        world.add(make_node(NODE, level=20))
    twice.bound_by(make_tenant("one"), make_tenant("two"))
    wrong.bound_by(make_tenant(fault="spec.bandwidth: found x"))
    pod = make_pod(criticality="LOW")

    assert "cannot be told" in only(twice, pod).detail
    assert "spec.bandwidth: found x" in only(wrong, pod).detail


def test_a_member_of_a_group_is_told_that_it_gets_the_best_node_alone() -> None:
    world = World()
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))
    pod = make_pod(criticality="HI", tasks=[make_task()])
    spec = pod["spec"]
    assert isinstance(spec, dict)
    spec["schedulingGroup"] = {"podGroupName": "line"}

    assert "As a member of group line" in only(world, pod).detail


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("k40s.io/critcality", "found the annotation k40s.io/critcality, expected k40s.io/critic"),
        ("k40s.io/xyz", "expected one of k40s.io/criticality, "),
    ],
)
def test_a_misspelt_key_is_remarked_although_no_node_refuses_it(key: str, words: str) -> None:
    world = World()
    world.add(make_node(NODE))
    pod = make_pod()
    meta = pod["metadata"]
    assert isinstance(meta, dict)
    meta["annotations"][key] = "HI"

    found = world.explain(pod)

    assert found.nodes[0].reason is None
    assert words in found.remarks[0]


def test_no_number_of_explanations_evicts_what_filter_knows() -> None:
    world = World(admissions=AdmissionCache(tests=built_in, workloads=2))
    world.add(make_node(NODE, level=20, cpu=make_cpu_state()))
    pod = make_pod(criticality="HI", tasks=[make_task()])
    world.filter(pod, [NODE])

    for number in range(1, 40):
        task = make_task(f"{number}ms", "100ms")
        world.explain(make_pod(f"p{number}", criticality="HI", tasks=[task]))

    world.filter(pod, [NODE])
    cached = {"how": "remembered"}
    assert world.registry.get_sample_value("k40s_extender_judged_nodes_total", cached) == 1


def test_whoever_a_remedy_names_is_an_obstacle_however_many_there_are() -> None:
    pods = [
        BoundPod(uid=f"u{n}", namespace="default", name=f"p{n}", node=NODE, criticality=None)
        for n in range(20)
    ]
    held = [
        Obstacle(namespace="default", pod=one.name, pod_uid=one.uid, criticality="LOW", what="x")
        for one in pods[:19]
    ]

    kept = keep_most(held, [pods[0], pods[18], pods[19]])

    assert [one.pod for one in kept] == [*(f"p{n}" for n in range(16)), "p18", "p19"]
    assert (kept[-2].what, kept[-1].what) == ("x", "runs on edge-1")
