"""Preempting on a cluster in memory: for whom, whom, how, how often, and what is said."""

from dataclasses import replace

import pytest

from controller.extender_client import Outcome, PlanAnswer
from controller.preemption_rules.policy import PreemptionPolicy
from k40s.annotations import PREEMPTION_KEY, PREEMPTIONS_KEY
from k40s.assurance.migration.placement import Taint
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.controller.preemption import FakePlant, Process, budget

CORDON = Taint(key="node.kubernetes.io/unschedulable", value="", effect="NoSchedule")


@pytest.fixture
def plant() -> FakePlant:
    """One node of four units, full of two LOW pods; a HI pod of four units waits."""
    plant = FakePlant(nodes={"a": 4})
    plant.add("low-1", "LOW", 2, node="a")
    plant.add("low-2", "LOW", 2, node="a")
    plant.add("high", "HI", 4)
    return plant


def reasons(plant: FakePlant, about: str) -> list[str]:
    return [reason for reason, name, _ in plant.said if name == about]


def test_a_hi_pod_gets_the_place_of_two_low_ones(plant: FakePlant) -> None:
    process = Process(plant)

    process.run(5)

    assert plant.node_of("high") == "a"
    assert sorted(plant.evicted) == ["low-1", "low-2"]
    assert plant.claims() == []
    assert process.metric("ends_total", outcome="bound") == 1
    assert process.metric("evictions_total", outcome="evicted") == 2
    assert reasons(plant, "high") == ["Preempts"]
    assert reasons(plant, "low-1") == ["PreemptedByMoreCritical"]


def test_the_claim_is_written_first_and_seen_before_anybody_goes(plant: FakePlant) -> None:
    Process(plant).run(5)

    steps = [one for one in plant.requests if one in ("claim", "history", "evict", "withdraw")]
    assert steps == ["claim", "history", "evict", "evict", "withdraw"]


def test_the_claim_lasts_for_the_longest_grace_period_and_a_while(plant: FakePlant) -> None:
    plant.grace_s = 40
    plant.add("low-3", "LOW", 0, node="a", terminationGracePeriodSeconds=100)
    for uid in ("uid-low-1", "uid-low-2"):
        plant.items[uid]["spec"]["terminationGracePeriodSeconds"] = 40

    Process(plant).run(45)

    assert plant.node_of("high") == "a"
    assert sorted(plant.evicted) == ["low-1", "low-2"]


def test_what_is_in_flight_comes_first(plant: FakePlant) -> None:
    process = Process(plant, PreemptionPolicy(hold_off=Nanoseconds(60 * NS_PER_S)))

    process.run(59)

    assert plant.requests == []
    assert process.metric("waiting_pods", obstacle="hold-off") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"criticality": "LOW"},
        {"criticality": "NO"},
        {"preemptionPolicy": "Never"},
        {"schedulerName": "default-scheduler"},
    ],
)
def test_others_preempt_nobody(change: dict[str, str]) -> None:
    plant = FakePlant(nodes={"a": 4})
    plant.add("low", "LOW", 4, node="a")
    plant.add("other", change.pop("criticality", "HI"), 4, **change)

    Process(plant).run(60)

    assert plant.evicted == []
    assert plant.claims() == []


def test_low_preempts_pods_without_criticality() -> None:
    plant = FakePlant(nodes={"a": 4})
    plant.add("none", "NO", 4, node="a")
    plant.add("low", "LOW", 4)

    Process(plant).run(5)

    assert plant.node_of("low") == "a"


def test_a_pod_that_fits_nowhere_even_so_evicts_nobody() -> None:
    plant = FakePlant(nodes={"a": 4, "b": 4, "c": 4})
    for node in plant.nodes:
        for number in range(3):
            plant.add(f"low-{node}{number}", "LOW", 1, node=node)
    plant.add("huge", "HI", 5)
    process = Process(plant)

    process.run(600)

    assert plant.evicted == []
    assert "claim" not in plant.requests
    assert process.metric("waiting_pods", obstacle="no-plan") == 1


def test_hi_comes_before_low_and_the_oldest_first() -> None:
    plant = FakePlant(nodes={"a": 4}, places=False)
    plant.add("none", "NO", 4, node="a")
    plant.add("low", "LOW", 4)
    plant.add("young", "HI", 4)
    plant.items["uid-young"]["metadata"]["creationTimestamp"] = "2027-02-01T00:00:00Z"
    plant.add("old", "HI", 4)
    plant.items["uid-old"]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"

    Process(plant).run(2)

    assert plant.claims() == ["old"]


def test_one_preemption_at_a_time_on_a_node_and_several_side_by_side() -> None:
    plant = FakePlant(nodes={"a": 4, "b": 4}, grace_s=30)
    for node in plant.nodes:
        plant.add(f"{node}-1", "LOW", 2, node=node)
        plant.add(f"{node}-2", "LOW", 2, node=node)
    for number in range(3):
        plant.add(f"high-{number}", "HI", 3)
    process = Process(plant)

    process.run(10)

    assert len(plant.claims()) == 2
    assert len(plant.evicted) == 4
    assert process.metric("waiting_pods", obstacle="no-plan") == 1


def test_a_node_where_one_preemption_goes_on_is_not_asked_for_another() -> None:
    plant = FakePlant(nodes={"a": 4}, grace_s=10)
    plant.add("low-1", "LOW", 2, node="a")
    plant.add("low-2", "LOW", 2, node="a")
    plant.add("high-1", "HI", 2)
    plant.add("high-2", "HI", 2)
    process = Process(plant)

    process.run(8)
    early = list(plant.evicted)
    busy = process.metric("waiting_pods", obstacle="node-busy")
    process.run(30)

    assert (len(early), busy) == (1, 1)
    assert len(plant.evicted) == 2
    assert plant.node_of("high-1") == plant.node_of("high-2") == "a"


def test_budgets_are_counted_for_all_victims_together() -> None:
    plant = FakePlant(nodes={"a": 4, "b": 4})
    for number in (1, 2):
        plant.add(f"kept-{number}", "LOW", 2, node="a", labels={"tier": "kept"})
        plant.add(f"free-{number}", "LOW", 1, node="b")
    plant.add("filler", "HI", 1, node="b")
    plant.limits.append(budget("one", 1, tier="kept"))
    plant.add("high", "HI", 4)
    process = Process(plant)

    process.run(30)

    assert plant.evicted == []
    assert process.metric("waiting_pods", obstacle="disruption-budget") == 1
    assert set(reasons(plant, "high")) == {"NotPreempting"}


def test_other_victims_are_found_where_a_budget_keeps_the_first_ones() -> None:
    plant = FakePlant(nodes={"a": 4, "b": 4})
    plant.add("kept", "LOW", 4, node="a")
    plant.add("free-1", "LOW", 2, node="b")
    plant.add("free-2", "LOW", 2, node="b")
    plant.limits.append(budget("none", 0, app="kept"))
    plant.add("high", "HI", 4)

    Process(plant).run(5)

    assert sorted(plant.evicted) == ["free-1", "free-2"]
    assert plant.node_of("high") == "b"


def test_a_pod_of_two_budgets_stays(plant: FakePlant) -> None:
    plant.limits += [budget("x", 5, app="low-1"), budget("y", 5, app="low-1")]

    Process(plant).run(30)

    assert plant.evicted == []


def test_a_budget_that_closes_in_between_is_said_loudly_and_nobody_else_goes(
    plant: FakePlant,
) -> None:
    plant.add("bystander", "LOW", 0, node="a")
    plant.limits.append(budget("late", 1, app="low-2"))
    process = Process(plant)
    evict = plant.evict

    def evict_and_close(namespace: str, name: str, *, uid: str, dry_run: bool = False) -> None:
        if not dry_run and name == "low-2":
            plant.limits[0] = replace(plant.limits[0], allowed=0)
        evict(namespace, name, uid=uid, dry_run=dry_run)

    plant.evict = evict_and_close  # type: ignore[method-assign]  # the budget is used up by others

    process.run(60)

    assert plant.evicted == ["low-1"]
    assert plant.claims() == []
    assert "PreemptionHeldUp" in reasons(plant, "high")
    assert "PreemptionHeldUp" in reasons(plant, "low-2")
    assert process.metric("evictions_total", outcome="held-up") > 5
    assert process.metric("ends_total", outcome="expired") == 1


def test_a_budget_that_opens_again_lets_the_preemption_end(plant: FakePlant) -> None:
    plant.limits.append(budget("late", 1, app="low-2"))
    process = Process(plant)
    evict, refused = plant.evict, []

    def evict_later(namespace: str, name: str, *, uid: str, dry_run: bool = False) -> None:
        closed = not dry_run and name == "low-2" and len(refused) < 3
        if closed:
            refused.append(name)
            plant.limits[0] = replace(plant.limits[0], allowed=0)
        try:
            evict(namespace, name, uid=uid, dry_run=dry_run)
        finally:
            if closed:
                plant.limits[0] = replace(plant.limits[0], allowed=1)

    plant.evict = evict_later  # type: ignore[method-assign]  # the budget is used up by others

    process.run(20)

    assert plant.node_of("high") == "a"
    assert plant.evicted == ["low-1", "low-2"]


def test_a_pod_that_does_not_get_its_place_is_not_tried_again_for_long(plant: FakePlant) -> None:
    plant.places = False
    process = Process(plant)

    process.run(100)
    for number in (3, 4):
        plant.add(f"low-{number}", "LOW", 2, node="a")
    process.run(400)

    assert sorted(plant.evicted) == ["low-1", "low-2"]
    assert process.metric("ends_total", outcome="lost") == 1
    assert process.metric("waiting_pods", obstacle="resting") == 1
    assert {"PreemptionFailed", "NotPreempting"} <= set(reasons(plant, "high"))


def test_a_pod_that_the_scheduler_tried_too_early_is_recalled(plant: FakePlant) -> None:
    plant.places = False
    process = Process(plant)
    set_claim = plant.set_claim

    def set_and_try(namespace: str, name: str, **change: str | None) -> None:
        set_claim(namespace, name, **change)  # type: ignore[arg-type]  # as it was called
        plant.places = plant.requests.count("claim") > 1

    plant.set_claim = set_and_try  # type: ignore[method-assign]  # a change of the pod is heard

    process.run(6)

    assert plant.node_of("high") == "a"
    assert plant.requests.count("claim") == 2
    assert plant.requests.count("history") == 1
    assert plant.claims() == []
    assert process.metric("ends_total", outcome="bound") == 1


def test_limits_hold_for_the_cluster_and_for_each_namespace() -> None:
    plant = FakePlant(nodes={f"n{number}": 2 for number in range(8)})
    for node in plant.nodes:
        plant.add(f"a-{node}", "LOW", 1, node=node)
        plant.add(f"b-{node}", "LOW", 1, node=node)
    for number in range(4):
        plant.add(f"x-{number}", "HI", 2, namespace="x")
        plant.add(f"y-{number}", "HI", 2, namespace="y")
    process = Process(plant, PreemptionPolicy(per_hour=6, namespace_per_hour=4))

    process.run(300)

    bound = [name[0] for name in plant.names() if name[0] in "xy" and plant.node_of(name)]
    assert len(plant.evicted) == 6
    assert sorted(bound) == ["x", "x", "y"] or sorted(bound) == ["x", "y", "y"]
    assert process.metric("waiting_pods", obstacle="per-hour") == 5


def test_a_dry_run_says_whom_and_does_nothing(plant: FakePlant) -> None:
    process = Process(plant, dry_run=True)

    process.run(30)

    assert set(plant.requests) <= {"plan", "node", "pod", "budgets", "try"}
    assert plant.evicted == []
    assert reasons(plant, "high") == ["PreemptionPlanned"]
    assert process.metric("waiting_pods", obstacle="dry-run") == 1


def test_switched_off_it_asks_nothing_and_withdraws_what_stands(plant: FakePlant) -> None:
    plant.places = False
    Process(plant).run(1.5)
    assert plant.claims() == ["high"]
    asked = len(plant.requests)

    Process(plant, enabled=False).run(30)

    assert plant.requests[asked:] == ["withdraw"]
    assert plant.evicted == []


def test_only_a_leader_acts(plant: FakePlant) -> None:
    plant.leading = False

    Process(plant).run(30)

    assert plant.requests == []


def test_a_history_that_cannot_be_read_evicts_nobody(plant: FakePlant) -> None:
    plant.notes[PREEMPTIONS_KEY] = "{"

    Process(plant).run(30)

    assert plant.evicted == []


def test_an_extender_that_does_not_know_the_pod_is_asked_over_new_connections(
    plant: FakePlant,
) -> None:
    plant.known = False
    process = Process(plant)

    process.run(1.5)
    plant.known = True
    asked = plant.requests[:]
    process.run(5)

    assert asked == ["plan", "renew", "plan", "renew", "plan", "renew", "plan"]
    assert plant.node_of("high") == "a"


def test_the_scheduler_is_made_to_ask_where_every_extender_has_forgotten_the_pod(
    plant: FakePlant,
) -> None:
    plant.known = False
    process = Process(plant)
    set_claim = plant.set_claim

    def set_and_ask(namespace: str, name: str, **change: str | None) -> None:
        set_claim(namespace, name, **change)  # type: ignore[arg-type]  # as it was called
        plant.known = True

    plant.set_claim = set_and_ask  # type: ignore[method-assign]  # a change of the pod is heard

    process.run(20)

    assert plant.requests.count("claim") == 2
    assert plant.requests.count("history") == 1
    assert plant.node_of("high") == "a"
    assert plant.claims() == []


def test_a_pod_that_nobody_knows_is_recalled_now_and_then(plant: FakePlant) -> None:
    plant.known = False

    Process(plant).run(60)

    assert 2 <= plant.requests.count("claim") <= 5
    assert plant.evicted == []
    assert plant.notes == {}


def test_a_plan_that_stands_no_more_evicts_nobody(plant: FakePlant) -> None:
    process = Process(plant)
    process.run(1.5)
    assert plant.claims() == ["high"]
    del plant.items["uid-low-1"], plant.items["uid-low-2"]

    process.run(5)

    assert plant.evicted == []
    assert plant.claims() == []
    assert plant.node_of("high") == "a"


def test_a_pod_that_goes_while_it_claims_leaves_its_victims_alone(plant: FakePlant) -> None:
    process = Process(plant)
    process.run(1.5)
    del plant.items["uid-high"]

    process.run(30)

    assert plant.evicted == []


def test_an_annotation_that_cannot_be_read_is_removed(plant: FakePlant) -> None:
    plant.items["uid-high"]["metadata"]["annotations"][PREEMPTION_KEY] = "{"
    process = Process(plant)

    process.run(0.5)

    assert plant.claims() == []
    assert process.metric("ends_total", outcome="invalid") == 1


@pytest.mark.parametrize(
    "victim",
    [
        {"criticality": "HI"},
        {"node": "b"},
        {"namespace": "kube-system"},
        {"namespace": "k40s-system"},
        {"mirror": True},
        {"criticality": "LOWER"},
    ],
)
def test_whoever_may_not_go_stays_whatever_the_extender_says(
    plant: FakePlant, victim: dict[str, str]
) -> None:
    uid = plant.add(
        "odd",
        victim.get("criticality", "LOW"),
        0,
        node=victim.get("node", "a"),
        namespace=victim.get("namespace", "default"),
    )
    if "mirror" in victim:
        plant.items[uid]["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "x"
    plant.answer = PlanAnswer(outcome=Outcome.PLAN, node="a", victims=(plant.named(uid),))
    process = Process(plant)

    process.run(20)

    assert plant.evicted == []
    assert plant.claims() == []
    assert process.metric("waiting_pods", obstacle="victim-not-allowed") == 1


def test_a_third_pod_does_not_get_the_room_that_is_claimed(plant: FakePlant) -> None:
    plant.grace_s = 5
    for uid in ("uid-low-1", "uid-low-2"):
        plant.items[uid]["spec"]["terminationGracePeriodSeconds"] = 5
    process = Process(plant)
    process.run(2.5)
    plant.add("third", "HI", 2)

    process.run(10)

    assert (plant.node_of("high"), plant.node_of("third")) == ("a", "")


def test_informers_that_lag_evict_nobody_twice() -> None:
    plant = FakePlant(nodes={"a": 4}, lag=4, grace_s=3)
    plant.add("low-1", "LOW", 2, node="a")
    plant.add("low-2", "LOW", 2, node="a")
    plant.add("high", "HI", 4)

    Process(plant).run(60)

    assert sorted(plant.evicted) == ["low-1", "low-2"]
    assert plant.node_of("high") == "a"
    assert plant.claims() == []


def test_two_leaders_at_once_make_one_claim(plant: FakePlant) -> None:
    first, second = Process(plant), Process(plant)

    for _ in range(40):
        for process in (first, second):
            process.looks.tick()
        plant.pass_time(0.5)

    assert plant.requests.count("claim") == 1
    assert sorted(plant.evicted) == ["low-1", "low-2"]
    assert plant.node_of("high") == "a"


def test_nobody_goes_from_a_node_that_was_cordoned_after_the_schedulers_last_question(
    plant: FakePlant,
) -> None:
    plant.taints["a"] = [CORDON]
    process = Process(plant)

    process.run(60)

    assert plant.evicted == []
    assert plant.claims() == []
    assert process.metric("waiting_pods", obstacle="node-unfit") == 1


def test_a_node_that_is_cordoned_after_the_claim_loses_nobody(plant: FakePlant) -> None:
    process = Process(plant)
    while not plant.claims():
        process.run(0.1, step=0.1)
    plant.taints["a"] = [CORDON]

    process.run(60)

    assert plant.evicted == []
    assert plant.claims() == []


def test_another_node_is_planned_where_the_first_is_cordoned(plant: FakePlant) -> None:
    plant.nodes["b"] = 4
    for number in range(4):
        plant.add(f"small-{number}", "LOW", 1, node="b")
    plant.taints["a"] = [CORDON]

    Process(plant).run(5)

    assert plant.node_of("high") == "b"
    assert sorted(plant.evicted) == [f"small-{number}" for number in range(4)]


def test_nobody_goes_where_the_cpu_requests_of_others_leave_no_room(plant: FakePlant) -> None:
    request = {"resources": {"requests": {"cpu": "40"}}, "name": "main"}
    plant.add("greedy", "NO", 0, node="a", namespace="kube-system", containers=[request])
    plant.items["uid-high"]["spec"]["containers"] = [request]

    Process(plant).run(60)

    assert plant.evicted == []


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_old_pods_that_never_find_a_plan_do_not_keep_others_from_theirs(seconds: float) -> None:
    plant = FakePlant(nodes={"a": 4}, plan_takes=seconds)
    for number in range(40):
        plant.add(f"huge-{number}", "HI", 99)
    process = Process(plant)
    process.run(60)
    plant.add("low", "LOW", 4, node="a")
    plant.add("high", "HI", 4)

    process.run(60)

    assert plant.node_of("high") == "a"


def test_pods_that_the_scheduler_never_asks_about_are_asked_about_and_recalled_less_and_less() -> (
    None
):
    plant = FakePlant(nodes={"a": 4}, unknown=frozenset({"lost"}))
    plant.add("lost", "HI", 4)
    process = Process(plant)

    process.run(600)

    assert plant.requests.count("claim") <= len((3, 15, 30, 60, 120, 240, 480))
    assert plant.requests.count("plan") < 4 * 60


def test_a_pod_is_recalled_soon_after_each_restart_of_the_extender() -> None:
    plant = FakePlant(nodes={"a": 4})
    plant.add("huge", "HI", 99)
    process = Process(plant)
    for _ in range(3):
        plant.known = True
        process.run(60)
        recalled = plant.requests.count("claim")
        plant.known = False
        process.run(25)

        assert plant.requests.count("claim") > recalled


def test_a_claim_lasts_an_hour_at_most_whatever_grace_period_a_victim_has(
    plant: FakePlant,
) -> None:
    plant.grace_s = 1 << 30
    plant.items["uid-low-1"]["spec"]["terminationGracePeriodSeconds"] = (1 << 31) - 1
    process = Process(plant)
    process.run(5)
    begun = plant.claims()

    process.run(3660, step=30)

    assert begun == ["high"]
    assert plant.claims() == []
    assert reasons(plant, "high")[-1] == "PreemptionFailed"


@pytest.mark.parametrize("begun", [False, True])
def test_what_a_wrong_clock_has_written_keeps_nobody_waiting_for_that_time(
    plant: FakePlant,
    begun: bool,  # a parameter
) -> None:
    year = 365 * 24 * 3600 * NS_PER_S
    plant.places = False
    plant.now += year
    wrong = Process(plant)
    while not (plant.evicted if begun else plant.claims()):
        wrong.run(0.1, step=0.1)
    plant.now -= year
    plant.places = True

    Process(plant).run(60)

    assert plant.node_of("high") == "a"
    assert plant.claims() == []


def test_a_clock_that_is_set_back_keeps_nobody_waiting(plant: FakePlant) -> None:
    plant.items["uid-high"]["metadata"]["labels"]["size"] = "9"
    process = Process(plant)
    process.run(30)
    plant.now -= 24 * 3600 * NS_PER_S
    plant.items["uid-high"]["metadata"]["labels"]["size"] = "4"

    process.run(10)

    assert plant.node_of("high") == "a"


def test_a_node_that_is_busy_for_long_is_not_waited_for_where_another_would_do() -> None:
    plant = FakePlant(nodes={"a": 4, "b": 4}, grace_s=3000)
    plant.add("low-1", "LOW", 2, node="a", terminationGracePeriodSeconds=3000)
    plant.add("low-2", "LOW", 2, node="a")
    for number in range(4):
        plant.add(f"small-{number}", "LOW", 1, node="b")
    plant.add("high-1", "HI", 2)
    plant.add("high-2", "HI", 2)
    process = Process(plant)

    process.run(30)
    at_first = set(plant.evicted)
    process.run(60)

    assert len(at_first) == 1
    assert len(plant.evicted) == 1 + 2
    assert len(plant.claims()) == 2
