"""Random clusters with every kind of refusal, and filter's verdicts beside explanations."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prometheus_client import generate_latest

from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.criticality import Criticality
from k40s.explanation.model import Explanation
from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.kube.records import PodRecord
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from tests.fakes.extender.full_nodes import claiming, with_pod
from tests.fakes.extender.networks import make_lan, make_stations, make_tdma, path, slot
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

Pod = dict[str, object]
_PERIODS_MS = (100, 200, 400, 1000)
_HAZARDS = ("cpu-system", "memory", "io")
_LEASE_S = 31
_NAMED = re.compile(r"([a-z0-9.-]+/[a-z0-9.-]+) \(")
"""A pod in a text of an explanation."""
_KINDS = 12
"""Different loads of CPU in a cluster."""


@dataclass(kw_only=True)
class Cluster:
    """A world and the names of its nodes."""

    world: World
    names: list[str] = field(default_factory=list)


def random_cluster(seed: int, *, nodes: int) -> Cluster:
    """The same cluster for the same seed; every node may refuse for another reason."""
    dice = random.Random(seed)  # a test repeats itself
    classes = {Criticality.HI: "kata"} if dice.random() < 0.3 else {}
    world = World(classes=classes)
    silent = DaemonError("silent", reason=Reason.CPU_DAEMON_SILENT)
    said = dice.choice((None, None, Reason.CPU_NOT_SCHEDULABLE, silent))
    world.cpu.query_reason = said if isinstance(said, Reason) else None
    world.cpu.query_fault = said if isinstance(said, DaemonError) else None
    names = [f"n{number:03d}" for number in range(nodes)]
    loads = [_random_load(dice, world, number) for number in range(min(_KINDS, nodes))]
    stale = {name for name in names if dice.random() < 0.1}
    for name in sorted(stale):
        _add(dice, world, name, dice.choice(loads))
    world.clock.advance(_LEASE_S)
    for name in names:
        if name not in stale:
            _add(dice, world, name, dice.choice(loads))
        elif dice.random() < 0.5:
            world.beat(name, dice.choice(("malacoda", "rubicante")))
    _add_networks(dice, world, names)
    _add_bounds(dice, world, names)
    if classes:
        world.runtimes.classes.upsert(RuntimeClassRecord(name="kata", handler="kata"))
        for name in names:
            handlers = frozenset({"kata"} if dice.random() < 0.7 else ())
            world.runtimes.nodes.upsert(NodeRuntimes(name=name, handlers=handlers))
    return Cluster(world=world, names=names)


def random_pod(dice: random.Random, number: int) -> Pod:
    """A pod that may ask for anything, in one of twenty cases for what is not valid."""
    criticality = dice.choice(("NO", "LOW", "LOW", "HI", "HI"))
    tasks: object = None
    if criticality != "NO" and dice.random() < 0.8:
        tasks = [_task(dice, f"t{index}") for index in range(dice.choice((1, 1, 1, 2)))]
    networks: list[object] = []
    if dice.random() < 0.3:
        networks.append(slot(payload=f"{dice.choice((60, 400, 1400, 9000))}B"))
    if dice.random() < 0.2:
        networks.append(
            path(
                dice.choice(("n000", "n001", "default/nowhere")),
                bandwidth=f"{dice.choice((1, 50, 500))}Mbit",
                delay=f"{dice.choice((1, 5))}ms",
            )
        )
    if dice.random() < 0.03:
        networks.append(slot("no-such-network"))
    if dice.random() < 0.05:
        criticality = "high"
    runtime = dice.choice(("kata", "kata", None)) if criticality == "HI" else None
    pod = make_pod(
        f"asked-{number}",
        uid=f"{dice.randrange(16**8):08x}-{number}",
        criticality=criticality,
        tasks=tasks,
        networks=networks or None,
        runtime_class=runtime,
    )
    if tasks is not None and dice.random() < 0.1:
        meta = pod["metadata"]
        assert isinstance(meta, dict)
        meta["annotations"]["k40s.io/enforcement"] = dice.choice(("deadline", "rt-cgroup"))
    return pod


def check(untouched: Cluster, explained: Cluster, pod: Pod) -> tuple[Counter[str], Explanation]:
    """Filter's verdict and text on each node against the explanation's; counts the reasons.

    ``explained`` is a twin of ``untouched``: there, too, filter says the same afterwards, and no
    metric has moved. Raises ``AssertionError`` otherwise.
    """
    names = [*untouched.names, "nobody-knows-it"]
    answer = untouched.world.filter(pod, names)
    scores = _scores(untouched, pod, answer)
    before = generate_latest(explained.world.registry)
    began = explained.world.clock.now
    found = explained.world.explain(pod, names)
    explained.world.clock.now = began  # pauses pass on it, and Leases would age in one twin alone
    assert generate_latest(explained.world.registry) == before
    assert explained.world.filter(pod, names) == answer
    by_name = {one.name: one for one in found.nodes}
    assert sorted(by_name) == sorted(names)
    if answer["Error"]:  # no node fits, and one of them gave no answer: one text for all
        assert answer["Error"] in {one.text for one in found.nodes}
        assert all(one.reason for one in found.nodes)
    else:
        fit, refused = answer["NodeNames"], answer["FailedAndUnresolvableNodes"]
        assert isinstance(fit, list)
        assert isinstance(refused, dict)
        assert {one.name for one in found.nodes if one.reason is None} == set(fit)
        assert {one.name: one.text for one in found.nodes if one.reason} == refused
        for name, score in scores.items():
            assert by_name[name].score == score
    for one in found.nodes:
        known = {f"{held.namespace}/{held.pod}" for held in one.obstacles}
        assert known.issuperset(_NAMED.findall(" ".join((one.detail, *one.remedies))))
    assert all(one.text.startswith(one.reason) for one in found.nodes if one.reason)
    assert all(one.detail for one in found.nodes if found.fault is None)
    return Counter(one.reason or "fits" for one in found.nodes), found


def _scores(cluster: Cluster, pod: Pod, answer: dict[str, object]) -> dict[str, int]:
    """What prioritize says of the nodes that passed."""
    fit = answer["NodeNames"]
    return cluster.world.prioritize(pod, fit) if isinstance(fit, list) and fit else {}


def _task(dice: random.Random, name: str) -> dict[str, object]:
    period = dice.choice(_PERIODS_MS)
    wcet = f"{max(period * dice.randrange(2, 70) // 100, 1)}ms"
    if dice.random() < 0.05:
        return {"name": name, "period": f"{period}ms", "wcet": {"other-platform": wcet}}
    task = make_task(wcet, f"{period}ms", name)
    return task | ({"core": dice.choice((0, 1, 7))} if dice.random() < 0.1 else {})


def _random_load(dice: random.Random, world: World, number: int) -> tuple[CpuNode, list[PodRecord]]:
    """A node with some pods admitted one after another, and these pods."""
    node = make_cpu_node(cores=range(dice.choice((1, 2, 2))))
    pods = []
    for index in range(dice.randrange(5)):
        uid = f"{number:02x}{dice.randrange(16**6):06x}"
        pod = make_pod(
            f"held-{number}-{index}",
            uid=uid,
            criticality=dice.choice(("LOW", "LOW", "HI")),
            tasks=[make_task(f"{dice.randrange(5, 40)}ms", "100ms")],
        )
        try:
            node = with_pod(world, node, pod)
        except AssertionError:
            continue
        pods.append(record_of(pod))
    return node, pods


def _add(
    dice: random.Random, world: World, name: str, load: tuple[CpuNode, list[PodRecord]]
) -> None:
    """A node; pods of one load stand for others on each node, with UIDs of their own."""
    node, pods = load
    uids = {pod.uid: f"{dice.randrange(16**8):08x}" for pod in pods}
    node = node.holding(
        tuple(replace(held, pod_uid=uids[held.pod_uid]) for held in node.reservations)
    )
    for pod in pods:
        world.watch_pod(replace(pod, uid=uids[pod.uid], name=f"{pod.name}-{name}", node=name))
    test = dice.choice((*[ADMISSION_TEST] * 12, "plant-test.1"))
    complete = dice.random() < 0.95
    state = make_cpu_state(node, test=test, complete=complete)
    cpu = dice.choice((None, *[state] * 18, "{broken"))
    reduced = dice.choice((0, 0, 0, 3, 6))
    world.add(
        make_node(
            name,
            level=dice.choice((None, 5, 10, *[max(20 - reduced, 0)] * 21)),
            reduced=reduced,
            hazards=(dice.choice(_HAZARDS),) if reduced else (),
            cpu=cpu,
            stations=dice.choice(
                (None, *[make_stations(channels=dice.choice((0, 4)))] * 6, "{broken")
            ),
            platform=dice.choice((*["edge"] * 15, "other")),
        ),
        alive=dice.random() < 0.95,
    )


def _add_networks(dice: random.Random, world: World, names: Sequence[str]) -> None:
    members = [name for name in names if dice.random() < 0.8] or list(names[:1])
    world.declare(make_tdma(nodes=members), make_lan(nodes=members))
    for number in range(dice.randrange(12)):
        node = dice.choice(members)
        pod = make_pod(
            f"slot-{number}", criticality="NO", networks=[slot(payload="1400B")], uid=f"s-{number}"
        )
        world.watch_pod(record_of(pod))
        world.bind(pod, node)
        world.watch_networks()
        world.watch_pod(record_of(pod, node=node))


def _add_bounds(dice: random.Random, world: World, names: Sequence[str]) -> None:
    if dice.random() < 0.4:
        world.bound_by(
            make_tenant(
                cpus=dice.choice((None, "0.5", "20")),
                hi_pods=dice.choice((None, 0, 50)),
                criticalities=dice.choice((list(Criticality), [Criticality.NO, Criticality.LOW])),
            )
        )
    for number in range(dice.choice((0, 0, 3))):
        pod = make_pod(f"claims-{number}", criticality="HI", tasks=[make_task("60ms", "100ms")])
        world.watch_pod(claiming(world, pod, dice.choice(names), seconds=3600))


def explain_all(seed: int, *, pods: int, nodes: int) -> Counter[str]:
    """Checks so many pods in one cluster and its twin; counts the reasons."""
    untouched, explained = (random_cluster(seed, nodes=nodes) for _ in range(2))
    dice = random.Random(seed)
    reasons: Counter[str] = Counter()
    for number in range(pods):
        counted, _ = check(untouched, explained, random_pod(dice, number))
        reasons += counted
    return reasons
