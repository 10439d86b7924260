"""What an overview tells of nodes, pods, networks and events."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from extender.cache.node_entry import read_entry, view_entry
from k40s.annotations import (
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CULPRITS_KEY,
    MIGRATION_KEY,
    PREEMPTION_KEY,
    Claim,
    Culprit,
    format_claim,
    format_culprits,
    format_release,
)
from k40s.annotations.preemption import parse_claim
from k40s.annotations.wall_times import wall_nanoseconds
from k40s.assurance.metrics import Metric
from k40s.assurance.migration.record import Phase, Release
from k40s.assurance.response.acts import Cause
from k40s.criticality import Criticality
from k40s.kube.heartbeats import Heartbeats
from k40s.kube.objects.observed import observed_node
from k40s.kube.objects.read import lease_record
from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation
from k40s.network.reservations import format_reservations
from k40s.overview.build import build_overview
from k40s.overview.happenings import MOST_HAPPENINGS, MOST_OF_NAMESPACE
from k40s.overview.model import NodeRow, PodRow
from k40s.tdma.model import SlotGrant, Window
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.kube.networks import TDMA, network_object
from tests.fakes.observed_cluster import (
    NOW,
    ObservedCluster,
    assurance_text,
    crowded,
    event_item,
    instant,
    lease_item,
    node_item,
    pod_item,
    reservation,
)

PUMP = {"kind": "Pod", "name": "pump", "namespace": "plant", "uid": "uid-pump"}
EDGE = {"kind": "Node", "name": "edge", "uid": "edge"}


def pod_row(cluster: ObservedCluster) -> PodRow:
    (row,) = cluster.overview().pods
    return row


def node_row(cluster: ObservedCluster) -> NodeRow:
    (row,) = cluster.overview().nodes
    return row


def running(annotations: Mapping[str, str] | None = None) -> ObservedCluster:
    """A node with one pod, which holds a server of a tenth of core 1."""
    cluster = ObservedCluster()
    held = [reservation("uid-pump")]
    cluster.add_node("edge", held=held)
    cluster.pods.append(pod_item("pump", node="edge", held=held, annotations=annotations))
    return cluster


def test_a_core_shows_whose_servers_it_serves() -> None:
    row = node_row(running())

    first, second = row.cores
    (server,) = first.servers
    assert (server.namespace, server.pod, server.container) == ("plant", "pump", "main")
    assert (server.budget, server.period, server.share) == (10_000.0, 100_000.0, 0.1)
    assert (first.core, first.capacity, second.servers) == ("1", 0.9, ())


def test_a_reservation_of_no_known_pod_keeps_its_prefix() -> None:
    cluster = ObservedCluster()
    cluster.add_node("edge", held=[reservation("12345678-aaaa")])

    (server,) = node_row(cluster).cores[0].servers

    assert (server.pod_uid, server.namespace, server.pod) == ("12345678", "", "")


def test_a_state_without_reservations_is_filled_from_the_pods_grants() -> None:
    cluster = crowded(1, 20, cores=2)

    shares = [sum(one.share for one in core.servers) for core in node_row(cluster).cores]

    assert shares == pytest.approx([0.4, 0.4])
    assert {one.pod for core in node_row(cluster).cores for one in core.servers} == {
        f"worker-0-{number}" for number in range(20)
    }


def test_what_no_grant_explains_is_one_nameless_server() -> None:
    cluster = crowded(1, 20, cores=2)
    cluster.pods.clear()

    (server,) = node_row(cluster).cores[0].servers

    assert (server.pod_uid, server.criticality) == ("", "")
    assert server.share == pytest.approx(0.4)


def test_an_ended_pod_holds_nothing() -> None:
    cluster = crowded(1, 20, cores=2)
    for one in cluster.pods:
        one["status"]["phase"] = "Succeeded"

    assert {one.state for one in cluster.overview().pods} == {"ended"}
    assert [one.pod for one in node_row(cluster).cores[0].servers] == [""]


def test_a_running_pod_says_what_the_kernel_gave_it() -> None:
    row = pod_row(running())

    assert (row.state, row.why, row.enforced, row.tasks) == ("running", "", True, 1)
    assert row.since == instant(NOW - timedelta(minutes=50))


def test_a_refused_pod_says_why() -> None:
    cluster = ObservedCluster()
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: no core of the node has the bandwidth left",
        "lastTransitionTime": instant(NOW - timedelta(minutes=3)),
    }
    cluster.pods.append(pod_item("pump", conditions=[condition]))

    row = pod_row(cluster)

    assert (row.state, row.why) == ("refused", condition["message"])
    assert row.since == condition["lastTransitionTime"]


def test_a_pod_that_nobody_placed_waits() -> None:
    cluster = ObservedCluster()
    cluster.pods.append(pod_item("pump"))

    row = pod_row(cluster)

    assert (row.state, row.why) == ("waiting", "k40s-scheduler has not placed it yet")


@pytest.mark.parametrize(("lasts", "state"), [(60, "claiming"), (-60, "waiting")])
def test_a_pod_that_preempts_claims_until_its_claim_ends(lasts: int, state: str) -> None:
    cluster = ObservedCluster()
    at = wall_nanoseconds(NOW) - 300 * NS_PER_S
    claim = Claim(node="edge", at=at, until=wall_nanoseconds(NOW) + lasts * NS_PER_S)
    cluster.pods.append(pod_item("pump", annotations={PREEMPTION_KEY: format_claim(claim)}))

    assert pod_row(cluster).state == state


LATEST = parse_claim(
    '{"v":1,"node":"edge","at":"9999-12-31T23:59:59.999999Z",'
    '"until":"9999-12-31T23:59:59.999999Z","victims":[]}'
).at
"""The latest instant that an annotation can hold."""


def test_the_latest_time_of_a_claim_is_the_row_of_its_pod_and_no_fault_of_all() -> None:
    cluster = ObservedCluster()
    claim = format_claim(Claim(node="edge", at=LATEST, until=LATEST))
    cluster.pods.append(pod_item("pump", annotations={PREEMPTION_KEY: claim}))

    row = pod_row(cluster)

    assert (row.state, row.since) == ("claiming", "9999-12-31T23:59:59Z")


def test_the_latest_time_of_a_release_is_the_row_of_its_pod_and_no_fault_of_all() -> None:
    release = Release(
        phase=Phase.RELEASED,
        at=LATEST,
        node="edge",
        owner="Deployment pump",
        replica_set="pump-1",
        replica_set_uid="uid-1",
        template_hash="1",
        wanted=1,
    )

    row = pod_row(running(annotations={MIGRATION_KEY: format_release(release)}))

    assert (row.state, row.since) == ("moving", "9999-12-31T23:59:59Z")


def test_a_released_pod_is_moving() -> None:
    release = Release(
        phase=Phase.RELEASED,
        at=wall_nanoseconds(NOW),
        node="edge",
        owner="Deployment pump",
        replica_set="pump-1",
        replica_set_uid="uid-1",
        template_hash="1",
        wanted=1,
    )

    row = pod_row(running(annotations={MIGRATION_KEY: format_release(release)}))

    assert (row.state, row.since) == ("moving", instant(NOW))
    assert "edge" in row.why


def test_a_throttled_pod_shows_although_it_demands_nothing() -> None:
    cluster = ObservedCluster()
    cluster.add_node("edge", annotations={ASSURANCE_KEY: assurance_text(state=4)})
    cluster.pods.append(pod_item("pump", node="edge", criticality=None))
    named = "pod plant/pump is suspected of the hazard cpu-pressure 0.90; next: 0.1"
    throttled = "pod plant/pump is throttled to 0.10 CPUs: it is suspected of the hazard"
    cluster.events = [
        event_item("SuspectNamed", named, about=PUMP, age=70),
        event_item("SuspectThrottled", throttled, about=PUMP),
        event_item("SuspectThrottled", throttled, about=EDGE),
    ]

    row, node = pod_row(cluster), node_row(cluster)

    assert row.state == "throttled"
    (suspect,) = node.suspects
    assert (suspect.pod, suspect.act, suspect.evidence) == ("pump", "throttled", named)


@pytest.mark.parametrize(
    ("later", "state"),
    [
        ("SuspectEvictionAsked", "throttled"),
        ("SuspectNamed", "throttled"),
        ("SuspectReleased", "running"),
    ],
)
def test_a_pod_stays_throttled_until_it_is_released(later: str, state: str) -> None:
    cluster = running()
    cluster.events = [
        event_item("SuspectFrozen", "pod plant/pump is frozen", about=PUMP, age=70),
        event_item(later, "pod plant/pump: what came later", about=PUMP, age=20),
    ]

    row = pod_row(cluster)

    assert row.state == state
    assert row.why.endswith("it is frozen") or state == "running"


def test_a_dry_run_throttles_nobody() -> None:
    cluster = running()
    text = "pod plant/pump dry run, nothing was done: is throttled to 0.10 CPUs: it is suspected"
    cluster.events = [event_item("SuspectThrottled", text, about=PUMP)]

    assert pod_row(cluster).state == "running"


def test_an_event_of_another_namespace_tells_nothing_of_the_pod_whose_uid_it_names() -> None:
    cluster = running()
    forged = {**PUMP, "namespace": "hostile"}
    cluster.events = [event_item("SuspectFrozen", "pod hostile/pump is frozen: no", about=forged)]

    assert (pod_row(cluster).state, node_row(cluster).suspects) == ("running", ())
    assert cluster.overview().happenings == ()


def test_one_namespaces_events_do_not_drive_out_those_of_others() -> None:
    cluster = running()
    cluster.events = [event_item("Overrun", "task control used 26 ms", about=PUMP, age=3000)]
    for number in range(MOST_HAPPENINGS):
        about = {"kind": "Pod", "name": f"pod-{number}", "namespace": "hostile", "uid": f"{number}"}
        cluster.events.append(event_item("Overrun", "noise", about=about, age=-3000))

    told = cluster.overview().happenings

    assert [one.text for one in told if one.namespace == "plant"] == ["task control used 26 ms"]
    assert len(told) == MOST_OF_NAMESPACE + 1


def test_a_released_suspect_is_none() -> None:
    cluster = running()
    cluster.events = [
        event_item("SuspectFrozen", "pod plant/pump is frozen: why", about=PUMP, age=70),
        event_item("SuspectReleased", "pod plant/pump is thawed: over", about=PUMP),
    ]

    assert (pod_row(cluster).state, node_row(cluster).suspects) == ("running", ())


def test_a_culprit_whose_eviction_is_asked_for_is_a_suspect() -> None:
    culprit = Culprit(
        uid="uid-pump", at=wall_nanoseconds(NOW), rule=Cause.ESCALATED, hazards=(Metric.CPU_STEAL,)
    )
    cluster = running()
    cluster.nodes[0]["metadata"]["annotations"][CULPRITS_KEY] = format_culprits([culprit])

    (suspect,) = node_row(cluster).suspects

    assert (suspect.namespace, suspect.pod, suspect.act) == ("plant", "pump", "eviction asked")
    assert Metric.CPU_STEAL.value in suspect.evidence


def test_events_about_a_pod_and_its_node_are_one_happening() -> None:
    cluster = running()
    text = "pod plant/pump is frozen: the hazard lasts"
    cluster.events = [
        event_item("SuspectFrozen", text, about=EDGE),
        event_item("SuspectFrozen", text, about={**PUMP, "uid": "uid-gone"}),
    ]

    (one,) = cluster.overview().happenings

    assert (one.kind, one.node, one.namespace, one.pod) == ("act", "edge", "plant", "pump")


def test_events_of_two_pods_stay_two() -> None:
    cluster = ObservedCluster()
    other = {**PUMP, "name": "valve", "uid": "uid-valve"}
    cluster.events = [
        event_item("FailedScheduling", "no", about=about, component="k40s-scheduler")
        for about in (PUMP, other)
    ]

    assert [(one.kind, one.pod) for one in cluster.overview().happenings] == [
        ("refusal", "pump"),
        ("refusal", "valve"),
    ]


def test_events_of_others_are_passed_over() -> None:
    cluster = ObservedCluster()
    cluster.events = [event_item("Pulled", "image", about=PUMP, component="kubelet")]

    assert cluster.overview().happenings == ()


def test_a_reduced_level_is_a_happening() -> None:
    cluster = ObservedCluster()
    condition = {
        "type": "k40s.io/AssuranceReduced",
        "status": "True",
        "message": "a hazard: cpu-pressure",
        "lastTransitionTime": instant(NOW),
    }
    cluster.add_node("edge", conditions=[condition])

    (one,) = cluster.overview().happenings

    assert (one.at, one.kind, one.text) == (instant(NOW), "alarm", "a hazard: cpu-pressure")


def test_a_silent_daemon_and_its_silence_are_told() -> None:
    cluster = ObservedCluster(
        nodes=[node_item("edge")],
        leases=[lease_item("rubicante-edge"), lease_item("malacoda-edge", age=45)],
    )

    row = node_row(cluster)

    assert [(one.name, one.silent) for one in row.daemons] == [
        ("malacoda", 45.0),
        ("rubicante", None),
    ]
    assert (row.level, row.assurance_refusal) == (None, "assurance.stale")


def test_a_hazard_shows_by_how_much_it_lowers_the_level() -> None:
    cluster = ObservedCluster()
    text = assurance_text(state=4, hazards=["cpu_pressure"])
    cluster.add_node("edge", annotations={ASSURANCE_KEY: text})

    row = node_row(cluster)

    assert (row.level, row.reduced, row.hazards) == (12, 6, ("cpu_pressure",))
    assert (row.hardware, row.software) == (5, 3)


def test_an_unreadable_annotation_is_named_and_nothing_else_is_lost() -> None:
    cluster = running()
    cluster.nodes[0]["metadata"]["annotations"][ASSURANCE_KEY] = '{"v":2}'
    cluster.pods.append(pod_item("odd", criticality="SOME"))

    overview = cluster.overview()

    assert [one.partition(":")[0] for one in overview.unreadable] == ["node edge", "pod plant/odd"]
    assert overview.nodes[0].assurance_refusal == "assurance.invalid"
    assert overview.nodes[0].cores[0].servers[0].pod == "pump"
    assert [(one.name, one.criticality) for one in overview.pods] == [("odd", ""), ("pump", "HI")]


def test_pods_that_ask_nothing_of_k40s_are_left_out() -> None:
    cluster = ObservedCluster()
    cluster.pods = [pod_item("web", criticality=None), pod_item("batch", criticality="NO")]

    assert cluster.overview().pods == ()


def test_a_network_shows_its_slots() -> None:
    cluster = ObservedCluster()
    window = Window(
        offset=Nanoseconds(100 * NS_PER_US),
        phase=1,
        every=2,
        length=Nanoseconds(20 * NS_PER_US),
        payload=100,
    )
    held = NetworkReservation(
        owner=Owner(uid="uid-pump", namespace="plant", name="pump"),
        node="n1",
        slots=(SlotGrant(windows=(window,)),),
    )
    status = {"reservations": format_reservations([held])}
    cluster.networks.append(network_object("field", TDMA, status=status))

    overview = cluster.overview()

    (network,) = overview.networks
    assert overview.unreadable == ()
    assert (network.kind, network.cycle, network.refusal) == ("TDMA", 1000.0, None)
    (slot,) = network.slots
    assert (slot.pod, slot.offset, slot.period, slot.phase) == ("pump", 100.0, 2, 1)


def test_a_network_that_is_declared_wrongly_is_told() -> None:
    cluster = ObservedCluster()
    cluster.networks.append(network_object("field", {"members": 3}))

    overview = cluster.overview()

    assert overview.networks[0].refusal == "network.invalid"
    assert overview.unreadable[0].startswith("network field: ")


def test_the_callers_own_gaps_come_first() -> None:
    records = running().records()

    overview = build_overview(now=NOW, unreadable=["pods: forbidden"], **records)

    assert overview.unreadable == ("pods: forbidden",)


@pytest.mark.parametrize("assurance", [None, '{"v":1}', assurance_text()])
@pytest.mark.parametrize("cpu", ["absent", "broken", "held"])
@pytest.mark.parametrize("age", [None, 2.0, 29.9, 30.0, 400.0])
@pytest.mark.parametrize("label", ["true", "false"])
@pytest.mark.parametrize("platform", ["edge", "other"])
def test_refusals_are_those_of_the_extender(
    assurance: str | None, cpu: str, age: float | None, label: str, platform: str
) -> None:
    texts = {ASSURANCE_KEY: assurance}
    texts |= {"absent": {CPU_STATE_KEY: None}, "broken": {CPU_STATE_KEY: "?"}, "held": {}}[cpu]
    labels = {"node.k40s.io/real-time": label, "k40s.io/platform": platform}
    cluster = ObservedCluster(nodes=[node_item("edge", annotations=texts, labels=labels)])
    if age is not None:
        cluster.leases = [lease_item(f"{one}-edge", age=age) for one in ("malacoda", "rubicante")]
    beats = Heartbeats(clock=lambda: 10**15, wall=lambda: NOW)
    beats.replace([lease_record(one) for one in cluster.leases])
    entry = read_entry(observed_node(cluster.nodes[0]).node, None)
    view, _ = view_entry(entry, now=10**15, expiry=beats.expiry)

    row = node_row(cluster)

    assert (row.assurance_refusal, row.cpu_refusal) == (view.assurance, view.cpu_refusal)
    assert row.level == (None if view.assurance else view.level)
    assert row.reduced == view.reduced


def test_criticality_is_that_of_the_server() -> None:
    cluster = ObservedCluster()
    held = [reservation("uid-pump", criticality=Criticality.LOW)]
    cluster.add_node("edge", held=held)
    cluster.pods.append(pod_item("pump", node="edge", held=held, criticality="LOW"))

    assert node_row(cluster).cores[0].servers[0].criticality == "LOW"
