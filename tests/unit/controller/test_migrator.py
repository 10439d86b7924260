"""Moving pods on a cluster in memory: whom, how, how often, and what is said."""

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from k40s.annotations import MIGRATION_KEY, MOVES_KEY, parse_history
from k40s.assurance.migration.placement import Taint
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.controller.cluster import HASH, FakeCluster
from tests.fakes.controller.running import Process


@pytest.fixture
def cluster() -> FakeCluster:
    """Node a, whose level is too low for HI, and node b, whose level suffices."""
    return FakeCluster(levels_by_node={"a": 10, "b": 16})


def nodes_of(cluster: FakeCluster, app: str) -> list[str]:
    return sorted(
        pod["spec"].get("nodeName", "-")
        for pod in cluster.items.values()
        if pod["metadata"]["labels"]["app"] == app
    )


def reasons(cluster: FakeCluster, about: str = "") -> list[str]:
    return [reason for reason, object_, _ in cluster.said if object_.startswith(about)]


def test_a_deployments_pod_moves_and_its_service_is_never_without_a_ready_pod(
    cluster: FakeCluster,
) -> None:
    cluster.add_deployment("web", node="a")

    Process(cluster).run(60)

    assert nodes_of(cluster, "web") == ["b"]
    assert cluster.least_ready == {"rs-web": 1}
    assert cluster.writes == ["history", f"mark {HASH}-migrating", "evict"]
    assert [(app, node) for _, app, node in cluster.left] == [("web", "a")]
    assert reasons(cluster, "Deployment") == ["MigrationStarted"]
    assert reasons(cluster, "Pod") == ["MigrationStarted", "Migrated"]


def test_a_replacement_has_to_be_available_for_as_long_as_its_owner_wants(
    cluster: FakeCluster,
) -> None:
    cluster.add_deployment("web", node="a")
    cluster.owners["rs-web"].min_ready = 30
    process = Process(cluster)

    process.run(35)
    early = nodes_of(cluster, "web")
    process.run(10)

    assert (early, nodes_of(cluster, "web")) == (["a", "b"], ["b"])


def test_a_pod_whose_status_is_written_meanwhile_is_released_all_the_same(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.add_deployment("web", node="a")
    annotate = cluster.annotate

    def annotate_slowly(annotations: Mapping[str, str]) -> None:
        for pod in cluster.items.values():
            pod["metadata"]["resourceVersion"] += "1"
        annotate(annotations)

    monkeypatch.setattr(cluster, "annotate", annotate_slowly)

    Process(cluster).run(15)

    assert nodes_of(cluster, "web") == ["b"]
    assert cluster.writes.count("history") == 1


def test_the_hold_off_leaves_time_to_the_node(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    process = Process(cluster, MigrationPolicy(hold_off=Nanoseconds(30 * NS_PER_S)))

    process.run(29)
    early = list(cluster.writes)
    cluster.levels_by_node["a"] = 14
    process.run(5)
    cluster.levels_by_node["a"] = 10
    process.run(29)

    assert early == cluster.writes == []
    assert process.metric("held_pods", obstacle="hold-off") == 1


@pytest.mark.parametrize("criticality", ["NO", "LOW"])
def test_a_pod_that_the_level_suffices_for_is_left_alone(
    cluster: FakeCluster, criticality: str
) -> None:
    cluster.add_deployment("web", node="a", criticality=criticality)

    Process(cluster).run(60)

    assert cluster.writes == cluster.asked == []


def test_no_pods_of_criticality_no_are_ever_touched_on_the_worst_node(cluster: FakeCluster) -> None:
    cluster.levels_by_node["a"] = 0
    cluster.add_deployment("batch", node="a", criticality="NO")
    cluster.add_bare("plain", node="a", criticality="NO")

    Process(cluster).run(60)

    assert cluster.writes == cluster.said == []


def test_nothing_moves_when_nobody_would_take_the_pod_and_the_event_has_the_reasons(
    cluster: FakeCluster,
) -> None:
    cluster.levels_by_node["b"] = 13
    cluster.add_deployment("web", node="a")
    process = Process(cluster)

    process.run(120)

    assert cluster.writes == []
    (text,) = {message for _, about, message in cluster.said if about.startswith("Pod")}
    assert text == (
        "node a has assurance 10 and a HI pod needs 14, but no other node would take it: "
        "b: assurance.too-low: the node's assurance is below what the pod's criticality needs"
    )
    assert reasons(cluster) == ["NotMigrated", "NotMigrated"]
    assert 1 < len(cluster.asked) < 10
    assert process.metric("held_pods", obstacle="no-node") == 1


def test_the_extender_is_asked_only_about_nodes_that_in_tree_filters_let_pass(
    cluster: FakeCluster,
) -> None:
    cluster.levels_by_node |= {"c": 20}
    cluster.taints["b"] = (Taint(key="k", value="", effect="NoSchedule"),)
    cluster.add_deployment("web", node="a")

    Process(cluster).run(30)

    assert {nodes for _, nodes in cluster.asked} == {("c",)}
    assert nodes_of(cluster, "web") == ["c"]


def test_an_extender_that_does_not_answer_moves_nobody(cluster: FakeCluster) -> None:
    cluster.extender_down = True
    cluster.add_deployment("web", node="a")
    process = Process(cluster)

    process.run(60)

    assert cluster.writes == []
    assert process.metric("held_pods", obstacle="request-failed") == 1
    assert process.metric("questions_total", answer="failed") >= 2


def test_moves_come_one_at_a_time_and_by_their_interval(cluster: FakeCluster) -> None:
    for number in range(4):
        cluster.add_deployment(f"web{number}", node="a")
    process = Process(cluster)

    for _ in range(120):
        process.run(1)
        assert process.metric("moves_in_progress") <= 1

    times = [at for at, _, _ in cluster.left]
    assert len(times) == 4
    assert all(b - a >= 10 * NS_PER_S for a, b in pairwise(times))


def test_hi_pods_move_before_low_ones(cluster: FakeCluster) -> None:
    cluster.levels_by_node["a"] = 0
    cluster.add_deployment("a-low", node="a", criticality="LOW")
    cluster.add_deployment("z-high", node="a", criticality="HI")

    Process(cluster).run(60)

    assert [app for _, app, _ in cluster.left] == ["z-high", "a-low"]


def test_no_more_moves_begin_in_an_hour_than_allowed(cluster: FakeCluster) -> None:
    for number in range(6):
        cluster.add_deployment(f"web{number}", node="a")
    process = Process(cluster, MigrationPolicy(per_hour=3))

    process.run(1800)
    within = len(cluster.left)
    process.run(1900)

    assert within == 3
    assert len(cluster.left) == 6


def test_replicas_of_one_owner_move_one_after_the_other(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a", replicas=3)

    Process(cluster).run(240)

    assert nodes_of(cluster, "web") == ["b", "b", "b"]
    assert cluster.least_ready == {"rs-web": 3}
    times = [at for at, _, _ in cluster.left]
    assert all(b - a >= 60 * NS_PER_S for a, b in pairwise(times))


def test_a_replacement_rests_though_its_node_falls_as_well(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    process = Process(cluster)
    process.run(60)

    cluster.levels_by_node |= {"a": 16, "b": 10}
    process.run(1500)

    assert len(cluster.left) == 1
    assert process.metric("held_pods", obstacle="resting") == 1


def test_a_node_that_was_left_lately_is_no_destination(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    cluster.add_deployment("other", node="b")
    process = Process(cluster)
    process.run(60)

    cluster.levels_by_node |= {"a": 16, "b": 10}
    process.run(120)

    assert [(app, node) for _, app, node in cluster.left] == [("web", "a")]
    assert "every other node was left lately" in str(cluster.said)


def test_a_replacement_that_is_never_ready_gives_the_pod_back(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    cluster.never_ready = True
    process = Process(cluster)

    process.run(300)

    (pod,) = cluster.items.values()
    assert pod["spec"]["nodeName"] == "a"
    assert pod["metadata"]["labels"]["pod-template-hash"] == HASH
    assert [one["uid"] for one in pod["metadata"]["ownerReferences"]] == ["rs-web"]
    assert '"phase":"returned"' in pod["metadata"]["annotations"][MIGRATION_KEY]
    assert cluster.least_ready == {"rs-web": 1}
    assert "MigrationGivenUp" in reasons(cluster, "Pod")
    assert process.metric("move_ends_total", outcome="returned") == 1
    assert process.metric("held_pods", obstacle="pod-cooldown") == 1


def test_a_pod_that_was_given_back_is_tried_again_after_its_cooldown(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    cluster.never_ready = True
    process = Process(cluster)
    process.run(300)
    cluster.never_ready = False

    process.run(700)

    assert nodes_of(cluster, "web") == ["b"]


def test_replicas_of_which_one_was_given_back_wait_for_its_cooldown_too(
    cluster: FakeCluster,
) -> None:
    """Else an owner whose pods start nowhere else takes up the moves of an hour."""
    cluster.add_deployment("web", node="a", replicas=12)
    cluster.never_ready = True

    Process(cluster).run(3600, step=5)

    assert 1 < cluster.writes.count(f"mark {HASH}-migrating") <= 5
    assert "evict" not in cluster.writes
    assert cluster.least_ready == {"rs-web": 12}


@pytest.mark.parametrize("removed", ["replicas", "owner"])
def test_a_released_pod_that_nobody_wants_any_more_is_evicted(
    cluster: FakeCluster, removed: str
) -> None:
    cluster.add_deployment("web", node="a")
    cluster.never_ready = True
    process = Process(cluster)
    process.run(10)
    if removed == "replicas":
        cluster.owners["rs-web"].replicas = 0
    else:
        del cluster.owners["rs-web"]
        cluster.items = {
            uid: pod for uid, pod in cluster.items.items() if not pod["metadata"]["ownerReferences"]
        }

    process.run(5)

    assert cluster.items == {}


def test_a_budget_that_forbids_the_eviction_keeps_both_pods_and_is_reported(
    cluster: FakeCluster,
) -> None:
    cluster.add_deployment("web", node="a")
    cluster.may_evict = lambda _pod: False
    process = Process(cluster)

    process.run(60)
    both = nodes_of(cluster, "web")
    attempts = cluster.writes.count("evict")
    cluster.may_evict = lambda _pod: True
    process.run(30)

    assert both == ["a", "b"]
    assert attempts <= 5
    assert nodes_of(cluster, "web") == ["b"]
    assert any("disruption budget" in text for _, _, text in cluster.said)


def test_a_pod_that_cannot_be_evicted_does_not_block_the_others_for_ever(
    cluster: FakeCluster,
) -> None:
    cluster.add_deployment("stuck", node="a")
    cluster.may_evict = lambda pod: pod["metadata"]["labels"]["app"] != "stuck"
    process = Process(cluster)
    process.run(20)
    cluster.add_deployment("web", node="a")

    process.run(200)

    assert nodes_of(cluster, "web") == ["b"]
    assert nodes_of(cluster, "stuck") == ["a", "b"]


@pytest.mark.parametrize("kind", ["StatefulSet", "Job", "ReplicationController"])
def test_other_controllers_pods_are_evicted(cluster: FakeCluster, kind: str) -> None:
    cluster.add_owner(kind, "db", node="a")

    Process(cluster).run(60)

    assert cluster.writes == ["history", "evict"]
    assert nodes_of(cluster, "db") == ["b"]


def test_no_other_move_begins_until_an_evicted_pods_replacement_is_ready(
    cluster: FakeCluster,
) -> None:
    cluster.add_owner("StatefulSet", "db", node="a", replicas=2)
    cluster.add_deployment("web", node="a")
    cluster.start_seconds = 40
    process = Process(cluster, MigrationPolicy(owner_cooldown=Nanoseconds(600 * NS_PER_S)))

    process.run(200)

    first, second = (at for at, _, _ in cluster.left[:2])
    assert [app for _, app, _ in cluster.left] == ["db", "web"]
    assert second - first >= 40 * NS_PER_S
    assert process.metric("held_pods", obstacle="owner-cooldown") == 1


def test_an_owner_that_is_gone_blocks_nobody(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    process = Process(cluster)
    process.run(30)
    cluster.owners.clear()
    cluster.items.clear()
    cluster.add_deployment("other", node="a")

    process.run(30)

    assert [app for _, app, _ in cluster.left] == ["web", "other"]


def test_an_owner_that_never_gets_ready_blocks_the_others_for_a_surges_timeout(
    cluster: FakeCluster,
) -> None:
    cluster.add_owner("StatefulSet", "db", node="a")
    cluster.add_owner("StatefulSet", "web", node="a")
    cluster.never_ready = True
    process = Process(cluster)

    process.run(119)
    early = [app for _, app, _ in cluster.left]
    process.run(30)

    assert early == ["db"]
    assert [app for _, app, _ in cluster.left] == ["db", "web"]


def test_a_budget_forbids_an_eviction_before_anything_is_written(cluster: FakeCluster) -> None:
    cluster.add_owner("StatefulSet", "db", node="a")
    cluster.may_evict = lambda _pod: False
    process = Process(cluster)

    process.run(60)
    before = list(cluster.writes)
    cluster.may_evict = lambda _pod: True
    process.run(30)

    assert before == []
    assert nodes_of(cluster, "db") == ["b"]
    assert any("may not be evicted yet" in text for _, _, text in cluster.said)


def test_a_replica_is_not_evicted_while_its_sibling_is_not_ready(cluster: FakeCluster) -> None:
    cluster.add_owner("StatefulSet", "db", node="a", replicas=2)
    next(iter(cluster.items.values()))["status"]["conditions"] = []
    cluster.never_ready = True
    process = Process(cluster)

    process.run(300)

    # The one that is not ready has left; the other one is all that serves.
    assert cluster.writes == ["history", "evict"]
    assert process.metric("held_pods", obstacle="sibling-not-ready") == 1
    assert cluster.least_ready == {"statefulset-db": 1}


def test_a_replica_is_not_evicted_while_its_sibling_has_yet_to_end(cluster: FakeCluster) -> None:
    """A StatefulSet replaces a pod only when it is gone."""
    cluster.add_owner("StatefulSet", "db", node="a", replicas=2)
    cluster.grace_seconds = 300
    process = Process(cluster)

    process.run(290)
    early = list(cluster.left)
    process.run(100)

    assert len(early) == 1
    assert len(cluster.left) == 2
    assert cluster.least_ready == {"statefulset-db": 1}


def test_no_other_move_begins_while_an_evicted_pod_has_yet_to_end(cluster: FakeCluster) -> None:
    cluster.add_owner("StatefulSet", "db", node="a", replicas=2)
    cluster.add_deployment("web", node="a")
    cluster.grace_seconds = 60
    policy = MigrationPolicy(owner_cooldown=Nanoseconds(600 * NS_PER_S))

    Process(cluster, policy).run(200)

    first, second = (at for at, _, _ in cluster.left)
    assert [app for _, app, _ in cluster.left] == ["db", "web"]
    assert second - first >= 60 * NS_PER_S


@pytest.mark.parametrize("hindrance", ["strategy", "service"])
def test_a_deployment_that_allows_no_surge_is_evicted_and_the_event_says_why(
    cluster: FakeCluster, hindrance: str
) -> None:
    cluster.add_deployment("web", node="a")
    cluster.surges = hindrance != "strategy"
    cluster.services = [
        ("other", {"app": "x", "pod-template-hash": HASH}),
        *([("web", {"pod-template-hash": HASH})] if hindrance == "service" else []),
    ]

    Process(cluster).run(60)

    assert cluster.writes == ["history", "evict"]
    started = next(text for reason, _, text in cluster.said if reason == "MigrationStarted")
    wanted = {
        "strategy": "Deployment web allows no pod beyond its replicas",
        "service": "Service web selects pod-template-hash",
    }
    assert wanted[hindrance] in started


def test_bare_pods_and_daemon_sets_stay_and_their_owners_are_told(cluster: FakeCluster) -> None:
    cluster.add_bare("alone", node="a")
    cluster.add_owner("DaemonSet", "agent", node="a")
    cluster.add_bare("static", node="a")["metadata"]["annotations"][
        "kubernetes.io/config.mirror"
    ] = "x"

    Process(cluster).run(60)

    assert cluster.writes == cluster.asked == []
    texts = {about.split("-")[0]: text for _, about, text in cluster.said}
    assert "no controller" in texts["Pod alone"]
    assert "DaemonSet" in texts["Pod agent"]
    assert "static pod" in texts["Pod static"]


def test_pods_of_a_silent_daemons_node_keep_running_and_are_reported(cluster: FakeCluster) -> None:
    cluster.levels_by_node["a"] = None
    cluster.add_deployment("web", node="a")
    process = Process(cluster)

    process.run(120)

    assert cluster.writes == []
    assert sorted(about.split("-")[0] for _, about, _ in cluster.said) == ["Node a", "Pod web"]
    assert set(reasons(cluster)) == {"AssuranceUnknown"}
    assert process.metric("unknown_nodes") == 1


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    process = Process(cluster, dry_run=True)

    process.run(120)

    assert cluster.writes == []
    assert reasons(cluster) == ["MigrationPlanned"]
    assert "would be moved (surge) to one of b" in cluster.said[0][2]
    assert len(cluster.asked) < 12


def test_who_does_not_lead_watches_and_does_nothing(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")
    cluster.leading = False
    process = Process(cluster)

    process.run(30)
    before = list(cluster.writes)
    cluster.leading = True
    process.run(1)

    assert before == []
    assert cluster.writes == ["history", f"mark {HASH}-migrating"]  # it has held off already


def test_a_history_that_cannot_be_read_stops_every_move(cluster: FakeCluster) -> None:
    cluster.notes[MOVES_KEY] = "{"
    cluster.add_deployment("web", node="a")

    Process(cluster).run(60)

    assert cluster.writes == []


def test_the_history_tells_the_next_leader_what_began(cluster: FakeCluster) -> None:
    cluster.add_deployment("web", node="a")

    Process(cluster).run(60)

    (move,) = parse_history(cluster.notes[MOVES_KEY]).moves
    assert (move.owner, move.node) == ("Deployment default/web", "a")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("A B C", "x"), ("Größe", "x"), ("Owner", "x\ny"), ("Owner", "x" * 300), ("Owner", "")],
)
def test_a_pod_that_names_an_impossible_owner_does_not_stop_the_moves_of_others(
    cluster: FakeCluster, kind: str, name: str
) -> None:
    """The API server takes any text there, and the history of moves must stay readable."""
    odd = cluster.add_bare("odd", node="a")
    odd["metadata"]["ownerReferences"] = [
        {"kind": kind, "name": name, "uid": "u", "apiVersion": "x/v1", "controller": True}
    ]
    process = Process(cluster)
    process.run(30)
    cluster.add_deployment("web", node="a")

    process.run(200)

    assert nodes_of(cluster, "odd") == ["a"]
    assert nodes_of(cluster, "web") == ["b"]
    parse_history(cluster.notes[MOVES_KEY])


def test_many_pods_that_nobody_takes_keep_no_other_one_from_being_asked_for(
    cluster: FakeCluster,
) -> None:
    cluster.levels_by_node["a"] = 0
    cluster.add_deployment("huge", node="a", replicas=300)
    cluster.unwanted = {"huge"}
    cluster.add_deployment("web", node="a", criticality="LOW")

    Process(cluster).run(60, step=0.5)

    assert nodes_of(cluster, "web") == ["b"]
    assert len(cluster.asked) > 600
    assert cluster.listings <= 60 / 5


def test_what_a_look_costs_does_not_grow_with_the_number_of_silent_nodes() -> None:
    def cost(nodes: int) -> float:
        cluster = FakeCluster(levels_by_node={f"n{number}": None for number in range(nodes)})
        for number in range(400):
            cluster.add_deployment(f"web{number}", node=f"n{number % nodes}", replicas=5)
        levels = {name: replace(one, cpu_silent=True) for name, one in cluster.levels().items()}
        view = cluster.pods()
        cluster.levels, cluster.pods = lambda: levels, lambda: view  # type: ignore[method-assign]
        process, costs = Process(cluster), []
        for _ in range(4):
            begun = time.process_time()
            process.migrator.tick()
            costs.append(time.process_time() - begun)
        return min(costs)

    assert cost(400) < 4 * cost(1)
