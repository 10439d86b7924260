"""Laws of explanations: the verdicts are filter's, and what is said to help does help."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.extender.world import World, make_cpu_state, make_node, make_pod, make_task
from tests.oracles.explanations import check, explain_all, random_cluster, random_pod
from tests.oracles.preemption import NODE, random_scene

seeds = st.integers(0, 2**32 - 1)
_WITHOUT = re.compile(r"it fits without default/([^ ]+) \(")


@given(seed=seeds)
def test_the_verdict_the_text_and_the_score_of_each_node_are_those_of_filter(seed: int) -> None:
    explain_all(seed, pods=3, nodes=8)


@given(seed=seeds)
def test_without_a_pod_that_is_said_to_be_in_the_way_filter_passes_the_node(seed: int) -> None:
    scene = random_scene(random.Random(seed))

    (found,) = scene.world().explain(scene.asked, [NODE]).nodes

    named = [one for text in found.remedies for one in _WITHOUT.findall(text)]
    assert not named or found.reason is not None
    for name in named:
        uids = [pod.uid for pod in scene.pods if pod.name == name]
        assert len(uids) == 1
        assert scene.fits(uids)
        assert name in {one.pod for one in found.obstacles}


@given(seed=seeds, steps=st.integers(0, 50))
def test_a_verdict_does_not_depend_on_the_time_that_figures_and_trials_have(
    seed: int, steps: int
) -> None:
    """Every look at the clock takes a while; filter's own verdicts are made before that."""
    twins = [random_cluster(seed, nodes=4) for _ in range(2)]
    clock = twins[1].world.clock
    ticking = clock.monotonic
    spent = iter([0] * steps)

    def hurry() -> int:
        if next(spent, None) is None:
            clock.advance(0.01)
        return ticking()

    clock.monotonic = hurry  # type: ignore[method-assign]  # a clock that runs
    check(twins[0], twins[1], random_pod(random.Random(seed), 0))


@given(seed=seeds)
def test_the_parts_of_a_score_are_its_mean_but_for_rounding(seed: int) -> None:
    cluster = random_cluster(seed, nodes=6)

    found = cluster.world.explain(random_pod(random.Random(seed), 0), cluster.names)

    for one in found.nodes:
        if one.score is None:
            continue
        assert sum(part.weight for part in one.parts) == 1
        assert abs(sum(part.weight * part.score for part in one.parts) - one.score) <= 1


@given(wcet=st.integers(1, 100), period=st.sampled_from([100, 200]))
def test_no_remedy_lowers_the_criticality(wcet: int, period: int) -> None:
    world = World()
    world.add(make_node("n", level=10, cpu=make_cpu_state()))

    for criticality in ("LOW", "HI"):
        pod = make_pod(
            criticality=criticality, tasks=[make_task(f"{wcet}ms", f"{period}ms")], uid="u"
        )
        (found,) = world.explain(pod, ["n"]).nodes
        assert not any("criticality" in text for text in found.remedies)
