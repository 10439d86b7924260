"""Whatever the extender plans, nobody goes who may not; whatever happens, nothing is left over."""

from hypothesis import given
from hypothesis import strategies as st

from controller.extender_client import Outcome, PlanAnswer
from controller.preemption_rules.policy import PreemptionPolicy
from k40s.criticality import Criticality
from tests.fakes.controller.preemption import SYSTEM, FakePlant, Process, budget

POLICY = PreemptionPolicy(per_hour=8, namespace_per_hour=5)
CRITICALITIES = st.sampled_from(["NO", "LOW", "HI", "HIGH"])
BOUND = st.tuples(
    CRITICALITIES, st.sampled_from("ab"), st.sampled_from(["default", *SYSTEM]), st.integers(0, 2)
)
WAITING = st.tuples(st.sampled_from(["LOW", "HI"]), st.integers(1, 4))


def plant_of(bound: list[tuple[str, str, str, int]]) -> FakePlant:
    plant = FakePlant(nodes={"a": 4, "b": 4})
    for number, (criticality, node, namespace, size) in enumerate(bound):
        plant.add(f"bound-{number}", criticality, size, node=node, namespace=namespace)
        if criticality == "HIGH":  # the API server takes any text
            plant.items[f"uid-bound-{number}"]["metadata"]["labels"]["size"] = "0"
    return plant


@given(
    bound=st.lists(BOUND, min_size=1, max_size=6),
    waiting=st.sampled_from(["LOW", "HI"]),
    named=st.sets(st.integers(0, 5), min_size=1),
    node=st.sampled_from("ab"),
)
def test_nobody_goes_who_may_not_whatever_the_extender_says(
    bound: list[tuple[str, str, str, int]], waiting: str, named: set[int], node: str
) -> None:
    plant = plant_of(bound)
    plant.places = False
    plant.add("waiting", waiting, 9)
    victims = tuple(
        plant.named(f"uid-bound-{number}") for number in sorted(named) if number < len(bound)
    )
    plant.answer = PlanAnswer(outcome=Outcome.PLAN, node=node, victims=victims)
    facts = {f"bound-{number}": one for number, one in enumerate(bound)}

    Process(plant).run(5)

    for name in plant.evicted:
        criticality, where, namespace, _ = facts[name]
        assert Criticality[criticality] < Criticality[waiting]
        assert (where, namespace) == (node, "default")
        assert name in {one.name for one in victims}
    assert len(plant.evicted) == len(set(plant.evicted))


@given(
    bound=st.lists(
        st.tuples(st.sampled_from(["NO", "LOW", "HI"]), st.sampled_from("ab"), st.integers(1, 2)),
        max_size=6,
    ),
    waiting=st.lists(WAITING, min_size=1, max_size=4),
    spared=st.integers(0, 2),
    crash_at=st.integers(0, 60) | st.none(),
    crash_after=st.booleans(),
)
def test_limits_and_budgets_hold_and_no_claim_is_left_although_the_leader_dies(
    bound: list[tuple[str, str, int]],
    waiting: list[tuple[str, int]],
    spared: int,
    crash_at: int | None,
    crash_after: bool,
) -> None:
    plant = plant_of([(criticality, node, "default", size) for criticality, node, size in bound])
    for node in plant.nodes:
        plant.nodes[node] = plant.nodes[node] - min(0, plant.free(node))
    plant.limits.append(budget("two", spared, app="bound-0"))
    for number, (criticality, size) in enumerate(waiting):
        plant.add(f"waiting-{number}", criticality, size)
    plant.crash_at, plant.crash_after = crash_at, crash_after

    Process(plant, POLICY).crashes(20)
    plant.crash_at = None
    Process(plant, POLICY).run(60)

    assert plant.claims() == []
    assert len(plant.evicted) == len(set(plant.evicted))
    assert len(plant.evicted) <= POLICY.namespace_per_hour
    assert spared or "bound-0" not in plant.evicted
    assert all(plant.free(node) >= 0 for node in plant.nodes)
