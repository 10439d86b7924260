"""Laws of migration, on random histories of a whole cluster."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from k40s.annotations import format_history, format_release, parse_history, parse_release
from k40s.assurance.migration.policy import HOUR, MigrationPolicy
from k40s.assurance.migration.record import History, PastMove, Phase, Release
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.controller.cluster import FakeCluster
from tests.fakes.controller.running import Process

EXAMPLES = settings().max_examples
NODES = ("a", "b", "c", "d", "e")
STEP = 5.0
POLICY = MigrationPolicy(per_hour=4, rest=Nanoseconds(600 * NS_PER_S))

levels = st.sampled_from([None, 0, 10, 14, 20])
changes = st.lists(
    st.tuples(st.sampled_from(NODES), levels, st.integers(1, 60)), min_size=1, max_size=25
)
deployments = st.lists(
    st.tuples(st.sampled_from(NODES), st.integers(1, 2), st.sampled_from(["NO", "LOW", "HI"])),
    min_size=1,
    max_size=4,
)


def scene(pods: list[tuple[str, int, str]]) -> FakeCluster:
    cluster = FakeCluster(levels_by_node=dict.fromkeys(NODES, 16))
    for number, (node, replicas, criticality) in enumerate(pods):
        name = f"app{number}-{criticality.lower()}"
        if number % 2:
            cluster.add_owner(
                "StatefulSet", name, node=node, replicas=replicas, criticality=criticality
            )
        else:
            cluster.add_deployment(name, node=node, replicas=replicas, criticality=criticality)
    return cluster


@settings(max_examples=max(200, EXAMPLES))
@given(deployments, changes, st.integers(0, 40), st.booleans())
def test_limits_hold_in_every_history_whatever_crashes(
    pods: list[tuple[str, int, str]],
    history: list[tuple[str, int | None, int]],
    crash: int,
    after: bool,  # hypothesis passes it so
) -> None:
    cluster = scene(pods)
    cluster.crash_at, cluster.crash_after = crash, after
    process = Process(cluster, POLICY)
    created: dict[str, int] = {}

    for node, level, looks in history:
        cluster.levels_by_node[node] = level
        for _ in range(looks):
            if process.crashes(int(STEP)):
                process = Process(cluster, POLICY)
            cluster.pass_time(STEP - 1)
            for uid in cluster.items:
                created.setdefault(uid, cluster.now)

    times = [at for at, _, _ in cluster.left]
    assert all(later - earlier >= POLICY.interval for earlier, later in pairwise(times))
    assert all(sum(at <= one < at + HOUR for one in times) <= POLICY.per_hour for at in times)
    assert not any(app.endswith("-no") for _, app, _ in cluster.left)
    for owner in cluster.owners.values():
        own = [(at, node) for at, app, node in cluster.left if app == owner.selector["app"]]
        assert all(
            later - earlier >= POLICY.owner_cooldown for (earlier, _), (later, _) in pairwise(own)
        )
        # Each replica moves at most once within the rest, wherever it was put in between.
        assert all(
            sum(at <= one < at + POLICY.rest for one, _ in own) <= owner.replicas for at, _ in own
        )
        if owner.kind == "ReplicaSet":  # surge: the service never loses a pod
            assert cluster.least_ready[owner.uid] >= owner.replicas


@settings(max_examples=max(10, EXAMPLES // 5))  # of half an hour each, second by second
@given(st.integers(0, 20), st.sampled_from(["one node", "two in turn", "wherever the pod is"]))
def test_a_hazard_that_flaps_for_half_an_hour_moves_at_most_two_pods(
    offset: int, hazard: str
) -> None:
    """It is there for 20 s, and away for 20 s."""
    cluster = scene([("a", 1, "HI")])
    process = Process(cluster)

    for second in range(1800):
        calm = bool((second + offset) // 20 % 2)
        hit = {"one node": [] if calm else ["a"], "two in turn": ["b" if calm else "a"]}
        here = [pod["spec"].get("nodeName", "a") for pod in cluster.items.values()]
        cluster.levels_by_node |= dict.fromkeys(NODES, 16)
        cluster.levels_by_node |= dict.fromkeys(hit.get(hazard, [] if calm else here), 10)
        process.run(1)

    assert 1 <= len(cluster.left) <= 2


@settings(max_examples=max(3, EXAMPLES // 15))  # the same
@given(st.integers(1, 3))
def test_hazards_that_alternate_do_not_empty_two_nodes_into_each_other(replicas: int) -> None:
    cluster = FakeCluster(levels_by_node={"a": 10, "b": 16})
    for node in ("a", "b"):
        cluster.add_deployment(f"of-{node}", node=node, replicas=replicas)
    process = Process(cluster)

    for minute in range(30):
        low, high = ("a", "b") if minute // 5 % 2 == 0 else ("b", "a")
        cluster.levels_by_node |= {low: 10, high: 16}
        process.run(60, step=2.0)

    assert len({node for _, _, node in cluster.left}) <= 1


instants = st.integers(0, 4 * 10**18).map(lambda at: at // 1000 * 1000)
words = st.from_regex(r"[a-z0-9./-]{1,20}", fullmatch=True)
moves = st.builds(PastMove, at=instants, owner=words, pod=words, node=words)


@given(st.lists(moves, max_size=20))
def test_a_history_is_read_as_it_was_written(found: list[PastMove]) -> None:
    history = History(moves=tuple(found))

    assert parse_history(format_history(history)) == history


@given(
    st.builds(
        Release,
        phase=st.sampled_from(Phase),
        at=instants,
        node=words,
        owner=words,
        replica_set=words,
        replica_set_uid=words,
        template_hash=st.from_regex(r"[a-z0-9]{1,10}", fullmatch=True),
        wanted=st.integers(0, 1000),
    )
)
def test_a_release_is_read_as_it_was_written(release: Release) -> None:
    assert parse_release(format_release(release)) == release


@given(st.lists(moves, max_size=40), moves)
def test_a_history_keeps_all_that_a_limit_looks_at(former: list[PastMove], move: PastMove) -> None:
    kept = History(moves=tuple(former)).plus(move, POLICY).moves

    assert kept[-1] == move
    for one in former:
        if move.at - one.at < max(HOUR, POLICY.rest):
            assert one in kept
