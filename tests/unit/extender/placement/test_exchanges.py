"""Nodes that exchange servers count where nothing else takes a pod, and only if they say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.placement import exchanges
from extender.placement.exchanges import MOST_SEARCHES, Exchanges
from extender.protocol import PodFacts
from k40s.annotations import CpuState
from k40s.cpu.admission.resynthesis import find_exchange
from k40s.cpu.model import CpuNode, PodDemand
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.exchanging_nodes import (
    exchanging_node,
    exchanging_state,
    pod_in_need,
    with_task,
)
from tests.fakes.extender.full_nodes import claiming
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

NODE = exchanging_node()


@dataclass
class Searches:
    """``find_exchange``, which remembers what it was asked."""

    nodes: list[CpuNode] = field(default_factory=list)

    def __call__(self, node: CpuNode, demand: PodDemand) -> object:
        self.nodes.append(node)
        return find_exchange(node, demand)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    counting = Searches()
    monkeypatch.setattr(exchanges, "find_exchange", counting)
    return counting


def world_of(*states: CpuState, **changes: object) -> World:
    world = World(node=NODE, **changes)  # type: ignore[arg-type]  # tests change single fields
    world.cpu.exchanges = True
    world.add(
        *(make_node(f"n{number}", level=20, cpu=state) for number, state in enumerate(states))
    )
    return world


def fitting(world: World, pod: object, count: int = 1) -> object:
    return world.filter(pod, [f"n{number}" for number in range(count)])["NodeNames"]


def refusals(answer: Mapping[str, object]) -> object:
    return answer["FailedAndUnresolvableNodes"]


def searched(world: World, outcome: str) -> float | None:
    name = "k40s_extender_exchange_searches_total"
    return world.registry.get_sample_value(name, {"outcome": outcome})


def test_a_pod_is_passed_a_node_that_exchanges_for_it_and_bound_there() -> None:
    world = world_of(exchanging_state())

    assert fitting(world, pod_in_need()) == ["n0"]
    assert world.bind(pod_in_need(), "n0") == ""
    assert searched(world, "found") == 1


def test_a_pod_prefers_nodes_where_nobody_moves(searches: Searches) -> None:
    world = world_of(exchanging_state(), make_cpu_state())

    assert fitting(world, pod_in_need(), 2) == ["n1"]
    assert not searches.nodes
    assert fitting(world, pod_in_need(), 1) == ["n0"]
    assert fitting(world, pod_in_need(), 2) == ["n1"]


@pytest.mark.parametrize(
    "state",
    [
        exchanging_state(exchanges=False),
        make_cpu_state(replace(NODE, shared_groups=False)),
    ],
    ids=["switched off", "own groups"],
)
def test_no_exchange_is_foretold_where_the_node_makes_none(
    state: CpuState, searches: Searches
) -> None:
    assert fitting(world_of(state), pod_in_need()) == []
    assert not searches.nodes


@pytest.mark.parametrize(
    "state",
    [exchanging_state(test="davis-burns-2005+tick.5"), exchanging_state(complete=False)],
    ids=["older", "while it changes"],
)
@pytest.mark.parametrize("exchange", [False, True])
def test_a_node_that_is_asked_answers_for_itself(
    state: CpuState, exchange: bool, searches: Searches
) -> None:
    world = world_of(state)
    world.cpu.exchanges = exchange

    assert fitting(world, pod_in_need()) == (["n0"] if exchange else [])
    assert any("query" in entry for entry in world.journal)
    assert world.prioritize(pod_in_need(), ["n0"]) == {"n0": 0}
    assert not searches.nodes


def test_a_node_that_refuses_at_bind_is_not_foretold_again_in_that_state() -> None:
    world = world_of(exchanging_state())
    fitting(world, pod_in_need())
    world.cpu.reserve_reason = Reason.CPU_CORE_CHANGING

    assert "cpu.core-changing" in world.bind(pod_in_need(), "n0")
    for _ in range(3):
        assert fitting(world, pod_in_need()) == []
    world.add(make_node("n0", level=20, cpu=exchanging_state(generation=2)))
    assert fitting(world, pod_in_need()) == ["n0"]


def test_what_was_searched_is_known_until_the_state_changes(searches: Searches) -> None:
    world = world_of(exchanging_state())

    for name in ("a", "b", "c"):
        assert fitting(world, pod_in_need(name)) == ["n0"]
        assert world.prioritize(pod_in_need(name), ["n0"]) == {"n0": 0}
    assert len(searches.nodes) == 1
    world.add(make_node("n0", level=20, cpu=exchanging_state(generation=2)))
    fitting(world, pod_in_need())
    assert len(searches.nodes) == 2


def test_texts_are_those_without_exchanges_where_none_helps(searches: Searches) -> None:
    pod = pod_in_need(wcet="17ms")
    texts = []
    for on in (True, False):
        world = world_of(exchanging_state(exchanges=on))
        answers = [refusals(world.filter(pod, ["n0"])) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        texts.append(answers[0])

    assert texts[0] == texts[1]
    assert len(searches.nodes) == 1


def test_a_call_searches_a_few_nodes_and_the_next_one_goes_on(searches: Searches) -> None:
    count = 2 * MOST_SEARCHES + 3
    world = world_of(*[exchanging_state()] * count)
    hopeless = pod_in_need(wcet="17ms")

    for expected in (MOST_SEARCHES, 2 * MOST_SEARCHES, count, count):
        assert fitting(world, hopeless, count) == []
        assert len(searches.nodes) == expected
    assert searched(world, "none") == count


def test_the_node_with_the_most_room_is_searched_first(searches: Searches) -> None:
    fuller = with_task(NODE, "held-2", 2, 400)
    world = world_of(make_cpu_state(fuller), make_cpu_state(NODE))

    fitting(world, pod_in_need(wcet="17ms"), 2)

    assert [len(node.reservations) for node in searches.nodes] == [2, 3]


def test_a_call_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(*[exchanging_state()] * 8, patience=Nanoseconds(100 * NS_PER_MS))
    calls = []

    def slow(node: CpuNode, demand: PodDemand) -> object:
        calls.append(demand)
        world.clock.advance(0.02)
        return find_exchange(node, demand)

    monkeypatch.setattr(exchanges, "find_exchange", slow)

    assert fitting(world, pod_in_need(wcet="17ms"), 8) == []
    assert len(calls) == 3


def test_a_pod_that_may_hold_a_reservation_gets_no_second_one_by_an_exchange(
    searches: Searches,
) -> None:
    world = world_of(exchanging_state())
    contract = world.workloads.read_pod(record_of(pod_in_need()))
    assert contract.workload is not None
    sought = Exchanges(
        tables=world.admissions,
        counters=None,
        clock=world.clock.monotonic,
        patience=Nanoseconds(NS_PER_S),
    )
    refused = {"n0": Reason.CPU_NO_BANDWIDTH}
    snapshot = world.cache.snapshot()

    found = {
        uid: list(sought.nodes(snapshot, refused, uid, contract, contract.workload))
        for uid in ("held-0", "new")
    }

    assert found == {"held-0": [[]], "new": [["n0"]]}
    assert len(searches.nodes) == 1


@dataclass
class Refusing:
    """A further check that refuses these."""

    names: frozenset[str]

    def refusals(
        self, _snapshot: Snapshot, names: Sequence[str], _pod: PodFacts, _contract: Contract
    ) -> Mapping[str, Reason]:
        return dict.fromkeys(self.names.intersection(names), Reason.CLAIM_HELD)


def test_nodes_that_others_refuse_are_passed_over_for_further_ones(searches: Searches) -> None:
    check = Refusing(frozenset(f"n{number}" for number in range(MOST_SEARCHES)))
    world = world_of(*[exchanging_state()] * (MOST_SEARCHES + 1), checks=(check,))
    count = MOST_SEARCHES + 1

    first = world.filter(pod_in_need(), [f"n{number}" for number in range(count)])
    assert first["NodeNames"] == []
    assert "claim.held" not in str(refusals(first))
    assert fitting(world, pod_in_need(), count) == [f"n{MOST_SEARCHES}"]
    assert len(searches.nodes) == count


def test_a_dry_run_and_an_explanation_say_the_same() -> None:
    world = world_of(exchanging_state(), exchanging_state(exchanges=False))

    assert world.dry_run(pod_in_need(), ["n0", "n1"])["NodeNames"] == ["n0"]
    (first, second) = world.explain(pod_in_need()).nodes
    assert (first.name, first.reason) == ("n0", None)
    assert "exchanged" in first.detail
    assert second.reason is not None


def test_a_fitting_pod_is_explained_without_a_word_on_exchanges() -> None:
    world = world_of(make_cpu_state(make_cpu_node()))

    assert "exchanged" not in world.explain(pod_in_need()).nodes[0].detail


def test_a_core_that_is_changing_is_told_to_take_pods_again() -> None:
    world = world_of(exchanging_state(complete=False))
    world.cpu.query_reason = Reason.CPU_CORE_CHANGING

    (node,) = world.explain(pod_in_need()).nodes

    assert node.reason == "cpu.core-changing"
    assert "within a minute" in node.detail


def test_claimed_room_is_not_exchanged_away() -> None:
    world = world_of(exchanging_state())
    assert fitting(world, pod_in_need()) == ["n0"]
    claimant = make_pod("first", criticality="HI", tasks=[make_task("1ms", "200ms")])
    world.watch_pod(claiming(world, claimant, "n0"))

    assert fitting(world, pod_in_need()) == []
    assert "claim.held" in world.bind(pod_in_need(), "n0")
