"""Laws of exchanges: each point of a plan passes the full test, and nobody else is changed."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import (
    Exchange,
    arrived,
    completed,
    drain_time,
    overlapping,
    reserving,
    without_pod,
)
from k40s.cpu.admission.hi_reserve import find_reserve_breach, reserve_demand
from k40s.cpu.admission.invariants import find_breach
from k40s.cpu.admission.resynthesis import LONGEST_EXCHANGE, admit_or_exchange, may_exchange
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import CpuNode, PodDemand, Reservation, Server
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.oracles.pods import empty_node, falling_pods, pod_of, random_large_pod, random_node

EXAMPLES = settings().max_examples
SEEDS = st.integers(0, 2**32)
RESERVE = Server(budget=Nanoseconds(5 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS))


def random_life(seed: int) -> Iterator[tuple[CpuNode, PodDemand, Exchange]]:
    """Exchanges of one node, each with the node and the pod before it."""
    chance = Random(seed)
    tick_ms = chance.choice((0, 1, 4, 10))
    node = empty_node(tick_ms)
    if chance.random() < 0.4:
        node = replace(node, shared_groups=True, node_capacity=Fraction(95, 100))
    if chance.random() < 0.3:
        node = replace(node, hi_reserve=RESERVE)
    demands = falling_pods(chance, tick_ms, 6)
    if chance.random() < 0.3:
        node = random_node(chance, min(tick_ms, 4))
        if chance.random() < 0.3:
            node = replace(node, hi_reserve=RESERVE)
        demands = [random_large_pod(chance, f"p{n}", len(node.cores)) for n in range(12)]
    for demand in demands:
        outcome = admit_or_exchange(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
        elif isinstance(outcome, Exchange):
            yield node, demand, outcome
            node = final(node, outcome)


def final(node: CpuNode, plan: Exchange) -> CpuNode:
    for step in plan.steps:
        both = overlapping(node, step)
        assert both is not None
        node = completed(both, step)
    after = arrived(node, plan)
    assert after is not None
    return after


def by_key(node: CpuNode) -> dict[tuple[str, object, int], Reservation]:
    return {(r.pod_uid, r.key, r.core): r for r in node.reservations}


def test_every_point_of_an_exchange_passes_the_full_test() -> None:
    seen = 0

    @given(SEEDS)
    def check(seed: int) -> None:
        nonlocal seen
        for before, demand, plan in random_life(seed):
            node = before
            seen += 1
            assert isinstance(admit(node, demand), Rejection)
            assert may_exchange(node, demand)
            for step in plan.steps:
                both = overlapping(node, step)
                assert both is not None
                assert node_holds(both)
                assert overlapping(both, step) == both
                assert set(both.reservations) - {step.after} >= set(step.others)
                node = completed(both, step)
                assert node_holds(node)
            after = arrived(node, plan)
            assert after is not None
            assert node_holds(after)
            admission = Admission(node=after, granted=plan.granted)
            assert find_breach(node, demand, admission) is None

    check()

    assert seen > EXAMPLES // 10


def test_a_step_changes_one_server_and_no_order_of_the_others() -> None:
    @given(SEEDS)
    def check(seed: int) -> None:
        for first, _demand, plan in random_life(seed):
            node = first
            changed = [(s.before.pod_uid, s.before.key) for s in plan.steps]
            assert len(set(changed)) == len(changed)
            for step in plan.steps:
                both = overlapping(node, step)
                assert both is not None
                before = by_key(node)
                kept = [r for r in both.reservations if r != step.after]
                for one in kept:
                    old = before[one.pod_uid, one.key, one.core]
                    assert replace(one, priorities=old.priorities) == old
                assert ranks(kept, plan.core) == ranks(node.reservations, plan.core)
                node = completed(both, step)

    check()


def ranks(held: list[Reservation] | tuple[Reservation, ...], core: int) -> list[list[str]]:
    """The tasks of a core by falling priority, those of equal priority together."""
    levels: dict[int, list[str]] = {}
    for one in held:
        if one.core == core:
            for task, level in zip(one.tasks, one.priorities, strict=False):
                levels.setdefault(level, []).append(f"{one.pod_uid}/{one.container}/{task.name}")
    return [sorted(levels[level]) for level in sorted(levels, reverse=True)]


def test_group_numbers_are_neither_in_use_nor_reused() -> None:
    seen = 0

    @given(SEEDS)
    def check(seed: int) -> None:
        nonlocal seen
        for before, _demand, plan in random_life(seed):
            node = before
            if not node.shared_groups:
                continue
            seen += 1
            gone: set[int | None] = set()
            for step in plan.steps:
                used = {r.group: r.server for r in node.reservations}
                assert step.after.group not in gone
                assert used.get(step.after.group, step.after.server) == step.after.server
                gone.add(step.before.group)
                node = completed(overlapping(node, step) or node, step)
            present = {r.group for r in node.reservations}
            assert not {r.group for r in plan.granted if r.priorities} & (gone - present)

    check()

    assert seen > 0


def test_the_reserve_for_hi_is_kept_at_rest_and_at_the_end() -> None:
    seen = 0

    @given(SEEDS)
    def check(seed: int) -> None:
        nonlocal seen
        for before, demand, plan in random_life(seed):
            node = before
            if node.hi_reserve is None or breaks_reserve(node, plan.core):
                continue
            seen += 1
            for step in plan.steps:
                node = completed(overlapping(node, step) or node, step)
                assert not breaks_reserve(node, plan.core)
            if demand.criticality is not Criticality.HI:
                after = arrived(node, plan)
                assert after is not None
                assert not breaks_reserve(after, plan.core)
                assert takes_hi_reserve(reserving(before, plan, done=0))

    check()

    assert seen > 0


def takes_hi_reserve(node: CpuNode) -> bool:
    """Whether the HI pod that room is kept for would be admitted now, but for other HI pods."""
    low = (held for held in node.reservations if held.criticality is not Criticality.HI)
    outcome = admit(node.holding(tuple(low)), reserve_demand(RESERVE))
    return isinstance(outcome, Admission)


def breaks_reserve(node: CpuNode, core: int) -> bool:
    def cautious(one: CpuNode, demand: PodDemand) -> Admission | Rejection:
        return admit(one, demand, cautious=True)

    return find_reserve_breach(cautious, node, (core,)) is not None


def test_whoever_departs_meanwhile_the_rest_of_the_plan_holds() -> None:
    @given(SEEDS)
    def check(seed: int) -> None:
        chance = Random(seed)
        for before, _demand, plan in random_life(seed):
            node = before
            left: Exchange | None = plan
            while left is not None and left.steps:
                both = overlapping(node, left.steps[0])
                assert both is not None
                node = completed(both, left.steps[0])
                following = left.steps[1:]
                uid = chance.choice(node.reservations).pod_uid if node.reservations else ""
                node = node.without(uid)
                if not following:
                    after = arrived(node, left)
                    assert after is not None
                    assert node_holds(after)
                    break
                left = without_pod(replace(left, steps=following), uid, done=0)

    check()


def test_what_other_cores_take_meanwhile_spoils_no_plan() -> None:
    admitted = 0

    @given(SEEDS)
    def check(seed: int) -> None:
        nonlocal admitted
        for before, _demand, plan in random_life(seed):
            node = replace(before, cores=(*before.cores, 98, 99))
            for number in range(3):
                outcome = admit(reserving(node, plan, done=0), pod_of(f"new{number}", wcet_ms=1))
                if isinstance(outcome, Admission):
                    admitted += 1
                    assert all(held.core != plan.core for held in outcome.granted)
                    node = node.holding((*node.reservations, *outcome.granted))
            final(node, plan)

    check()

    assert admitted > EXAMPLES // 20


def test_a_core_that_is_closed_says_so() -> None:
    for seed in range(400):
        for node, _demand, plan in random_life(seed):
            if len(node.cores) == 1:
                outcome = admit(reserving(node, plan, done=0), pod_of("new", wcet_ms=1))
                assert isinstance(outcome, Rejection)
                assert outcome.reason is Reason.CPU_CORE_CHANGING
                assert not may_exchange(reserving(node, plan, done=0), pod_of("new", wcet_ms=1))
                return
    raise AssertionError("no exchange was found")


def test_an_exchange_takes_a_bounded_time() -> None:
    @given(SEEDS)
    def check(seed: int) -> None:
        for node, _demand, plan in random_life(seed):
            wait = drain_time(node, plan.core)
            assert wait * (len(plan.steps) + 1) <= LONGEST_EXCHANGE

    check()
