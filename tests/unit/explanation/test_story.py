"""The story of a bound pod, from objects as the API server has them."""

import json
from pathlib import Path
from typing import Any

import pytest

from k40s.annotations import BackEnd, GrantedSlots
from k40s.annotations.network import GrantedPath, GrantedWindow, format_network_grants
from k40s.annotations.preemption import Claim, Victim, format_claim
from k40s.explanation.json import format_story, parse_story
from k40s.explanation.model import PodStory
from k40s.explanation.story import StoryNode, story, story_event
from k40s.network import model as network
from k40s.units import Nanoseconds

RECORDED = Path(__file__).parents[2] / "fixtures" / "explanation" / "bound-pod.json"
CULPRIT = (
    '{"v":1,"culprits":[{"uid":"6f1c2a9b-1111-4222-8333-444455556666",'
    '"at":"2026-03-01T12:26:00Z","rule":"escalated","hazards":["cpu-system"],"harmed":true}]}'
)


def recorded() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found["pod"], found["events"]


def tell(pod: dict[str, Any], events: list[dict[str, Any]] | None = None) -> PodStory:
    return story(pod, node=StoryNode(level=17), events=map(story_event, events or []))


def test_a_pod_that_runs_has_its_servers_its_threads_and_its_enforcement() -> None:
    pod, _ = recorded()

    told = tell(pod)

    assert told.summary == "It is running on edge-1, and the kernel enforces its reservation."
    (server,) = told.servers
    assert (server.core, server.budget, server.period, server.share) == ("1", "24ms", "100ms", 0.24)
    (task,) = server.tasks
    assert (task.thread, task.priority, task.deadline) == ("control", 98, "80ms")
    assert (told.enforced, told.enforced_since) == (True, "2026-03-01T12:00:05Z")
    assert (told.level, told.level_needed) == (17, 7)
    assert parse_story(format_story(told), source="story") == told


def test_the_chain_of_happenings_is_in_the_order_of_time() -> None:
    pod, events = recorded()

    chain = [(one.at[11:16], one.kind) for one in tell(pod, events).happenings]

    assert chain == [
        ("12:00", "other"),
        ("12:00", "other"),
        ("12:00", "other"),
        ("12:00", "other"),
        ("12:20", "kernel"),
        ("12:24", "alarm"),
        ("12:25", "act"),
        ("12:30", "move"),
    ]


def test_what_is_of_one_second_is_told_in_the_order_of_a_pods_life() -> None:
    pod, _ = recorded()
    second = "2026-03-01T12:00:00Z"
    pod["metadata"]["creationTimestamp"] = pod["status"]["startTime"] = second
    for one in pod["status"]["conditions"]:
        one["lastTransitionTime"] = second
    pulled = {"reason": "Pulled", "message": "", "lastTimestamp": second}

    texts = [one.text for one in tell(pod, [pulled]).happenings]

    assert texts[:5] == ["created", "bound to edge-1", "taken by kubelet", "Pulled", "enforced"]


def test_what_happened_to_the_node_before_the_pod_was_there_is_not_told() -> None:
    pod, _ = recorded()
    node = {"involvedObject": {"kind": "Node"}, "reason": "AssuranceReduced", "message": "stolen"}
    before = {**node, "lastTimestamp": "2026-03-01T11:59:59Z"}
    since = {**node, "lastTimestamp": "2026-03-01T12:00:01Z"}

    chain = [one.at for one in tell(pod, [before, since]).happenings if "stolen" in one.text]

    assert chain == ["2026-03-01T12:00:01Z"]


def test_a_throttled_pod_says_so_and_a_released_one_no_more() -> None:
    pod, events = recorded()
    release = {**events[1], "reason": "SuspectReleased", "lastTimestamp": "2026-03-01T12:28:00Z"}

    assert "is throttled" in tell(pod, events).summary
    assert "throttled" not in tell(pod, [*events, release]).summary


def test_overruns_are_counted_and_the_last_one_is_told() -> None:
    pod, events = recorded()

    assert tell(pod, events).overruns.startswith(
        "reported 3 times, last 2026-03-01T12:20:00Z: task control used 26 ms"
    )
    assert tell(pod).overruns == ""


def test_a_request_to_evict_it_is_told() -> None:
    pod, _ = recorded()
    node = StoryNode(level=None, annotations={"node.k40s.io/culprits": CULPRIT})

    told = story(pod, node=node)

    assert [one.text for one in told.happenings if one.kind == "suspect"] == [
        "held responsible for cpu-system, rule escalated: its eviction is asked for"
    ]


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("status.k40s.io/cpu", "allocation cannot be understood"),
        ("status.k40s.io/migration", "enforces its reservation"),
    ],
)
def test_what_cannot_be_understood_is_told_and_hides_nothing_else(key: str, part: str) -> None:
    pod, events = recorded()
    pod["metadata"]["annotations"][key] = "{"

    told = tell(pod, events[:1])

    assert part in told.summary
    assert told.enforced is True
    assert told.overruns


def test_a_pod_with_tasks_and_without_a_reservation_is_warned_of() -> None:
    pod, _ = recorded()
    del pod["metadata"]["annotations"]["status.k40s.io/cpu"]
    pod["status"]["conditions"] = []

    assert "without any reservation" in tell(pod).summary


def test_an_object_of_another_form_has_a_story_without_anything() -> None:
    told = story({"metadata": 1, "spec": [], "status": {"conditions": "?"}}, node=None)

    assert (told.node, told.servers, told.happenings) == ("", (), ())


def with_annotation(key: str, text: str) -> PodStory:
    pod, _ = recorded()
    pod["metadata"]["annotations"][key] = text
    return tell(pod)


def test_what_it_holds_of_networks_is_one_sentence_each() -> None:
    grants = (
        GrantedSlots(
            network="plant",
            interface="rteth0",
            back_end=BackEnd.TDMACFG,
            slots=(
                GrantedWindow(offset=Nanoseconds(100_000), phasing=1, every=1, payload=60),
                GrantedWindow(offset=Nanoseconds(300_000), phasing=2, every=4, payload=60),
            ),
            channel=1,
        ),
        GrantedPath(
            network="lan", path=network.Path(peer="b", nodes=("a", "switch", "b"), bandwidth=10**7)
        ),
        GrantedPath(network="lan", path=network.Path(peer="c", nodes=("a", "c"), bandwidth=0)),
    )

    told = with_annotation("status.k40s.io/network", format_network_grants(grants))

    assert told.networks == (
        "plant: slots on rteth0 at 100us (60B), 300us (each 4. cycle, 60B)",
        "lan: 10Mbit to b by a-switch-b",
        "lan: a path to c by a-c",
    )


def test_a_grant_of_networks_that_cannot_be_understood_is_told() -> None:
    (sentence,) = with_annotation("status.k40s.io/network", "{").networks

    assert sentence.startswith("status.k40s.io/network: found ")


def test_a_thread_under_sched_deadline_has_no_priority_and_may_have_any_core() -> None:
    told = with_annotation(
        "status.k40s.io/cpu",
        '{"v":2,"criticality":"LOW","servers":[{"container":"app","mechanism":"deadline",'
        '"core":"any","budget":"2.12ms","period":"10ms","tasks":[{"name":"sample","wcet":"2ms",'
        '"period":"10ms","deadline":"10ms"}]}]}',
    )

    (server,) = told.servers
    assert (server.core, server.tasks[0].priority) == ("any", None)


def test_a_claim_and_a_returned_move_are_told() -> None:
    claim = Claim(
        node="edge-1", at=10**18, until=10**18, victims=(Victim(namespace="n", name="v", uid="v"),)
    )

    claimed = with_annotation("status.k40s.io/preemption", format_claim(claim))
    pod, _ = recorded()
    moved = pod["metadata"]["annotations"]["status.k40s.io/migration"]
    back = with_annotation("status.k40s.io/migration", moved.replace("released", "returned"))
    unclear = with_annotation("status.k40s.io/preemption", "{")

    assert "claims room on edge-1; 1 pod must go" in [one.text for one in claimed.happenings]
    assert any("given back to its owner" in one.text for one in back.happenings)
    assert unclear.happenings[0].text.startswith("status.k40s.io/preemption: found")


def test_a_request_to_evict_that_cannot_be_understood_says_nothing() -> None:
    pod, _ = recorded()
    node = StoryNode(level=None, annotations={"node.k40s.io/culprits": "{"})

    assert not [one for one in story(pod, node=node).happenings if one.kind == "suspect"]


@pytest.mark.parametrize(
    ("status", "words"),
    [("False", "is not enforced: thread gone"), ("", "is not enforced yet, as far as the node")],
)
def test_what_the_kernel_does_not_enforce_is_in_the_first_sentence(status: str, words: str) -> None:
    pod, _ = recorded()
    condition = pod["status"]["conditions"][2]
    condition |= {"status": status, "reason": "TaskWithoutThread", "message": "thread gone"}

    assert words in tell(pod).summary
