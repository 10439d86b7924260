"""Nodes that only their own daemon can test are queried, once for each state and workload."""

import threading
from dataclasses import replace
from fractions import Fraction

import pytest

from extender.placement.admission_cache import AdmissionCache
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import DeadlineOffer, Domain
from k40s.node_api.client import DaemonError
from k40s.node_api.messages import AdmissionAnswer, ReservationRequest
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import (
    FakeRubicante,
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)

FOREIGN = "plant-test.1"


def pod(name: str = "p", wcet: str = "20ms") -> dict[str, object]:
    return make_pod(name, criticality="HI", tasks=[make_task(wcet)])


def foreign(name: str, **changes: object) -> object:
    return make_node(name, level=20, cpu=make_cpu_state(test=FOREIGN, **changes))


def world_with(*names: str) -> World:
    world = World()
    for number, name in enumerate(names):
        world.add(foreign(name, endpoint=f"https://10.0.0.{number}:8441"))  # type: ignore[arg-type]
    return world


def count(world: World, how: str) -> float | None:
    return world.registry.get_sample_value("k40s_extender_judged_nodes_total", {"how": how})


def asked(world: World) -> list[str]:
    return [line for line in world.journal if line.startswith("query")]


def test_a_node_with_a_test_of_its_own_is_asked_and_believed() -> None:
    world = world_with("a")

    fits, does_not = world.filter(pod(), ["a"]), world.filter(pod("q", "90ms"), ["a"])

    assert fits["NodeNames"] == ["a"]
    assert does_not["FailedAndUnresolvableNodes"] == {
        "a": "cpu.no-bandwidth: no core of the node has the real-time bandwidth left"
    }
    assert asked(world) == [
        "query uid-p at https://10.0.0.0:8441",
        "query uid-q at https://10.0.0.0:8441",
    ]


def test_an_answer_is_cached_for_every_pod_with_that_contract() -> None:
    world = world_with("a", "b")

    for name in ("p", "q", "r"):
        world.filter(pod(name), ["a", "b"])
        world.prioritize(pod(name), ["a", "b"])

    assert len(asked(world)) == 2
    assert (count(world, "asked"), count(world, "exact")) == (2, 0)


def test_a_node_is_asked_again_when_its_state_has_changed() -> None:
    world = world_with("a", "b")
    world.filter(pod(), ["a", "b"])
    world.journal.clear()

    world.add(foreign("b", generation=2, endpoint="https://10.0.0.1:8441"))  # type: ignore[arg-type]
    world.filter(pod(), ["a", "b"])

    assert asked(world) == ["query uid-p at https://10.0.0.1:8441"]


def test_a_test_that_is_installed_here_is_run_here() -> None:
    world = World(admissions=AdmissionCache(tests=lambda name: admit if name == FOREIGN else None))
    world.add(foreign("a"))  # type: ignore[arg-type]

    assert world.filter(pod(), ["a"])["NodeNames"] == ["a"]
    assert asked(world) == []


def test_a_node_that_gives_no_answer_is_refused_where_others_fit() -> None:
    world = world_with("a")
    world.add(make_node("b", level=20, cpu=make_cpu_state()))
    world.cpu.query_fault = DaemonError("silent", reason=Reason.CPU_DAEMON_SILENT)

    answer = world.filter(pod(), ["a", "b"])

    assert answer["NodeNames"] == ["b"]
    assert answer["FailedAndUnresolvableNodes"] == {
        "a": f"{Reason.CPU_DAEMON_SILENT.value}: {Reason.CPU_DAEMON_SILENT.text}"
    }
    assert count(world, "unanswered") == 1


def test_where_nothing_fits_and_a_node_gave_no_answer_the_scheduler_asks_again() -> None:
    world = world_with("a")
    world.cpu.query_fault = DaemonError("silent", reason=Reason.CPU_DAEMON_SILENT)

    silent = world.filter(pod(), ["a"])
    world.cpu.query_fault = None
    world.clock.advance(5)
    heard = world.filter(pod(), ["a"])

    assert silent["Error"] == f"{Reason.CPU_DAEMON_SILENT.value}: {Reason.CPU_DAEMON_SILENT.text}"
    assert heard["NodeNames"] == ["a"]


def test_where_nothing_fits_and_a_test_failed_the_scheduler_asks_again() -> None:
    world = world_with("a")
    world.cpu.query_reason = Reason.CPU_TEST_FAILED

    failed = world.filter(pod(), ["a"])
    world.cpu.query_reason = None
    again = world.filter(pod(), ["a"])

    assert failed["Error"] == f"{Reason.CPU_TEST_FAILED.value}: {Reason.CPU_TEST_FAILED.text}"
    assert again["NodeNames"] == ["a"]


def test_a_node_that_could_not_publish_its_reservations_is_asked() -> None:
    world = World()
    node = make_cpu_node()
    free = dict.fromkeys(node.cores, Fraction(0))
    world.add(make_node("a", level=20, cpu=make_cpu_state(node, complete=False, utilization=free)))
    world.cpu.query_reason = Reason.CPU_NOT_SCHEDULABLE

    answer = world.filter(pod(), ["a"])

    failed = answer["FailedAndUnresolvableNodes"]
    assert isinstance(failed, dict)
    assert failed["a"].startswith("cpu.not-schedulable")
    assert (count(world, "asked"), count(world, "rough")) == (1, 0)


def test_nobody_is_asked_when_there_is_no_time() -> None:
    world = World(patience=Nanoseconds(0))
    world.add(foreign("a"))  # type: ignore[arg-type]

    assert world.filter(pod(), ["a"])["Error"].startswith("cpu.no-answer")  # type: ignore[attr-defined]
    assert asked(world) == []


def test_a_node_without_the_wcet_need_not_be_asked() -> None:
    world = world_with("a")
    task = make_task() | {"wcet": {"other": "1ms"}}

    answer = world.filter(make_pod(criticality="HI", tasks=[task]), ["a"])

    assert "cpu.no-wcet" in str(answer["FailedAndUnresolvableNodes"])
    assert asked(world) == []


def test_what_the_daemon_says_at_bind_outweighs_its_own_answer() -> None:
    world = world_with("a")
    world.filter(pod(), ["a"])
    world.cpu.reserve_reason = Reason.CPU_NOT_SCHEDULABLE
    world.bind(pod(), "a")

    assert world.filter(pod(), ["a"])["NodeNames"] == []
    assert len(asked(world)) == 1


@pytest.mark.parametrize(("wcet", "score"), [("10ms", 9), ("40ms", 8)])
def test_the_answers_utilization_is_what_counts_for_the_score(wcet: str, score: int) -> None:
    """HI on a node of the highest assurance: the mean of 10 and of what the core has left."""
    world = world_with("a", "b")

    assert set(world.prioritize(pod(wcet=wcet), ["a", "b"]).values()) == {score}


def test_a_shared_root_domain_counts_with_what_its_cpus_have_left_on_average() -> None:
    offer = DeadlineOffer(
        tick=Nanoseconds(4 * NS_PER_MS), capacity=Fraction(9, 10), domain=Domain.SHARED, cpus=2
    )
    node = replace(make_cpu_node(cores=(0, 1)), node_capacity=Fraction(0), deadline=offer)
    world = World(node=node)
    state = make_cpu_state(
        node, test=FOREIGN, mechanism="deadline", utilization=node.utilizations()
    )
    world.add(make_node("a", level=20, cpu=state))

    scores = world.prioritize(pod(wcet="50ms"), ["a"])

    assert scores == {"a": 8}  # (10 + 10·(1.8 - 0.5)/2)/2, rounded to nearest


class Hesitant(FakeRubicante):
    """A node that answers when it is released."""

    def __init__(self) -> None:
        super().__init__(make_cpu_node())
        self.go_on = threading.Event()

    def query_admission(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        self.go_on.wait(120)
        return super().query_admission(endpoint, request, timeout=timeout)


def test_an_answer_that_comes_late_is_there_the_next_time() -> None:
    node = Hesitant()
    world = World(patience=Nanoseconds(NS_PER_MS), cpu=node)
    world.add(foreign("a"))  # type: ignore[arg-type]

    early = world.filter(pod(), ["a"])
    node.go_on.set()
    later = early
    for _ in range(12_000):
        if later["NodeNames"]:
            break
        threading.Event().wait(0.01)
        later = world.filter(pod(), ["a"])

    assert early["Error"]
    assert later["NodeNames"] == ["a"]
    assert len(node.journal) == 1
