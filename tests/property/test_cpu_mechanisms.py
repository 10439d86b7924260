"""Laws of admission where mechanisms mix, groups are shared and jobs are split."""

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

from hypothesis import event, given
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import ANY_CORE, CpuNode, Domain, Mechanism, PodDemand
from k40s.cpu.outcome import Admission
from tests.oracles.pods import random_large_pod, random_node

SEEDS = st.integers(0, 2**32)


def story(seed: int, arrivals: int = 6) -> tuple[CpuNode, PodDemand]:
    """A node on which some pods came and went, and one more that asks."""
    chance = Random(seed)
    node = random_node(chance, chance.choice((0, 1, 4)))
    for number in range(chance.randrange(arrivals)):
        outcome = admit(node, random_large_pod(chance, f"p{number}", len(node.cores)))
        node = outcome.node if isinstance(outcome, Admission) else node
        if node.reservations and chance.random() < 0.2:
            node = node.without(chance.choice(node.reservations).pod_uid)
    uid = chance.choice(("new", "p0", "p1"))
    return node, random_large_pod(chance, uid, len(node.cores))


@given(SEEDS)
def test_what_is_granted_is_what_was_asked_and_the_node_holds(seed: int) -> None:
    node, demand = story(seed)
    outcome = admit(node, demand)
    if not isinstance(outcome, Admission):
        return

    granted = Counter((r.container, task) for r in outcome.granted for task in r.tasks)
    assert granted == Counter((c.container, task) for c in demand.containers for task in c.tasks)
    assert node_holds(outcome.node)
    assert admit(node, demand) == outcome
    for held in outcome.granted:
        assert demand.mechanism in {None, held.mechanism}
        assert held.core in node.cores or held.core == ANY_CORE
        assert {task.core for task in held.tasks} <= {None, held.core}
        assert node.shared_groups == (held.group is not None) or not held.priorities
        event(f"{held.mechanism.value}, {len(outcome.granted)} reservations")


@given(SEEDS)
def test_others_only_grow_and_shared_groups_never_change(seed: int) -> None:
    node, demand = story(seed)
    before = node.without(demand.pod_uid)
    outcome = admit(before, demand)
    if not isinstance(outcome, Admission):
        return

    after = outcome.node.without(demand.pod_uid)

    users = Counter(r.group for r in before.reservations if r.group is not None)
    joined = {r.group for r in outcome.granted}
    for old, new in zip(before.reservations, after.reservations, strict=True):
        assert replace(new, server=old.server, priorities=old.priorities) == old
        assert old.server.period == new.server.period
        assert old.server.budget <= new.server.budget
        if users[old.group] > 1 or old.mechanism is Mechanism.DEADLINE:
            assert old.server == new.server
        if old.group is not None and old.group in joined:
            assert {r.server for r in outcome.granted if r.group == old.group} == {new.server}
    assert node_holds(after)


@given(SEEDS)
def test_a_group_serves_each_core_once_and_its_number_is_not_given_out_again(seed: int) -> None:
    node, demand = story(seed)
    outcome = admit(node, demand)
    if not isinstance(outcome, Admission) or outcome.node == node:
        return

    cores = defaultdict(list)
    for held in outcome.node.reservations:
        if held.group is not None:
            cores[held.group].append(held.core)
    assert all(len(set(used)) == len(used) for used in cores.values())
    numbers = {r.group for r in node.reservations}
    kept = {r.group for r in node.without(demand.pod_uid).reservations}
    assert not {r.group for r in outcome.granted} & (numbers - kept - {None})


@given(SEEDS)
def test_an_exclusive_core_serves_one_pod_and_a_pod_one_exclusive_core(seed: int) -> None:
    chance = Random(seed)
    node = random_node(chance, chance.choice((0, 4)))
    if node.deadline is None:
        return
    offer = replace(node.deadline, domain=Domain.EXCLUSIVE, cpus=1)
    node = replace(node, deadline=offer)

    for number in range(6):
        outcome = admit(node, random_large_pod(chance, f"p{number}", len(node.cores)))
        node = outcome.node if isinstance(outcome, Admission) else node

    deadline = [r for r in node.reservations if r.mechanism is Mechanism.DEADLINE]
    owners = {r.core: r.pod_uid for r in deadline}
    assert len(set(owners.values())) == len(owners)
    assert all(owners.get(r.core, r.pod_uid) == r.pod_uid for r in node.reservations)


@given(SEEDS)
def test_the_necessary_condition_never_refuses_what_is_admitted(seed: int) -> None:
    node, demand = story(seed)

    verdict = may_fit(core_utilizations=node.utilizations(), node=node, demand=demand)

    outcome = admit(node, demand)
    event(f"{verdict}, {isinstance(outcome, Admission)}")
    assert verdict is None or not isinstance(outcome, Admission)


@given(SEEDS)
def test_releasing_gives_everything_back_and_asking_again_changes_nothing(seed: int) -> None:
    chance = Random(seed)
    empty = node = random_node(chance, chance.choice((0, 1, 4)))
    for number in range(5):
        demand = random_large_pod(chance, f"p{number}", len(node.cores))
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            assert admit(outcome.node, demand) == outcome
            node = outcome.node

    for number in range(5):
        node = node.without(f"p{number}")

    assert node == empty
