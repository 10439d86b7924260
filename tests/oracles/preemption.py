"""Random nodes full of pods, and the least set of victims by trying every subset.

The oracle knows nothing of the search: for each subset it builds a cluster in which these pods
never were, and asks filter.
"""

import json
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, combinations

from k40s.annotations import UID_LENGTH
from k40s.cpu.model import CpuNode
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.network.model import NetworkReservation
from tests.fakes.extender.full_nodes import claiming, fill, publish, rt_pod
from tests.fakes.extender.networks import make_stations, make_tdma, slot
from tests.fakes.extender.world import (
    FakeRubicante,
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

NODE = "n"
Key = tuple[Criticality, int, Fraction]
Pod = dict[str, object]
_PERIODS_MS = (100, 200, 250, 400, 500)


@dataclass(kw_only=True)
class Scene:
    """One node, what the pods there hold, and a pod that wants room."""

    asked: Pod
    criticality: Criticality
    cpu: CpuNode
    pods: list[PodRecord] = field(default_factory=list)
    entries: tuple[NetworkReservation, ...] = ()
    channels: int = 32

    def world(self, without: Collection[str] = ()) -> World:
        """A new extender that sees the node as if these pods had never been."""
        world = World()
        self.add_to(world, NODE, without)
        return world

    def add_to(self, world: World, name: str, without: Collection[str] = ()) -> None:
        """An extender sees the node under that name, as if these pods had never been."""
        kept = tuple(entry for entry in self.entries if entry.owner.uid not in without)
        freed = sum(len(entry.slots) for entry in self.entries if entry not in kept)
        prefixes = {uid[:UID_LENGTH] for uid in without}
        world.add(
            make_node(
                name,
                level=20,
                cpu=make_cpu_state(
                    self.cpu.holding(
                        tuple(
                            held
                            for held in self.cpu.reservations
                            if held.pod_uid[:UID_LENGTH] not in prefixes
                        )
                    )
                ),
                stations=make_stations(channels=self.channels + freed),
            )
        )
        world.declare(make_tdma(nodes=[name, "other"]))
        world.networks.write("plant", kept)
        world.watch_networks()
        for record in self.pods:
            if record.uid not in without:
                world.watch_pod(replace(record, node=name))

    def fits(self, without: Collection[str]) -> bool:
        """Whether filter passes the pod without these others."""
        return self.world(without).filter(self.asked, [NODE])["NodeNames"] == [NODE]

    def bandwidth(self, uid: str) -> Fraction:
        """What a pod holds of the CPU."""
        return sum(
            (
                held.server.bandwidth
                for held in self.cpu.reservations
                if held.pod_uid[:UID_LENGTH] == uid[:UID_LENGTH]
            ),
            Fraction(0),
        )

    def key(self, uids: Sequence[str]) -> Key:
        """The cost of a set of victims."""
        return (
            max((criticality_of(self.pod(uid)) for uid in uids), default=Criticality.NO),
            len(uids),
            sum(map(self.bandwidth, uids), Fraction(0)),
        )

    def pod(self, uid: str) -> PodRecord:
        """The pod with that UID."""
        return next(record for record in self.pods if record.uid == uid)

    def ending(self) -> frozenset[str]:
        """The pods that are ending already."""
        return frozenset(record.uid for record in self.pods if record.deleting)

    def eligible(self) -> list[str]:
        """UIDs of those that may be victims."""
        return [
            record.uid
            for record in self.pods
            if criticality_of(record) < self.criticality
            and not record.deleting
            and record.namespace != "kube-system"
        ]

    def brute_force(self) -> Key | None:
        """The least key of all subsets that make room; None where there is none."""
        ending = self.ending()
        keys = [self.key(some) for some in subsets(self.eligible()) if self.fits({*some, *ending})]
        return min(keys, default=None)


def subsets(uids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(uids, size) for size in range(len(uids) + 1))


def criticality_of(record: PodRecord) -> Criticality:
    return Criticality[record.annotations["k40s.io/criticality"]]


def random_pod(dice: random.Random, uid: str, criticality: str, *, most: int) -> Pod:
    """A pod of up to ``most`` per cent of a core, perhaps with a slot; NO pods have a slot only."""
    tasks = None
    if criticality != "NO":
        period = dice.choice(_PERIODS_MS)
        tasks = [make_task(f"{max(period * dice.randrange(5, most) // 100, 1)}ms", f"{period}ms")]
    networks = None
    if criticality == "NO" or dice.random() < 0.3:
        networks = [slot(payload=f"{dice.choice((100, 400, 800, 1400))}B")]
    return make_pod(uid, uid=uid, criticality=criticality, tasks=tasks, networks=networks)


def random_scene(dice: random.Random, *, pods: int = 6) -> Scene:
    """A node to which pods were bound one after another until the next did not fit."""
    cpu = make_cpu_node(cores=range(dice.choice((1, 2, 2))))
    world = World(node=cpu, cpu=FakeRubicante(cpu))
    world.declare(make_tdma(nodes=[NODE, "other"]))
    channels = dice.choice((1, 2, 3, 32))
    scene = Scene(asked={}, criticality=Criticality.HI, cpu=cpu)
    for number in range(dice.randrange(1, pods + 1)):
        world.add(
            make_node(
                NODE,
                level=20,
                cpu=make_cpu_state(world.cpu.node, generation=number + 1),
                stations=make_stations(channels=channels),
            )
        )
        uid = f"{dice.randrange(16**8):08x}-{number}"
        pod = random_pod(dice, uid, dice.choice(("NO", "LOW", "LOW", "LOW", "HI")), most=45)
        if world.filter(pod, [NODE])["NodeNames"] != [NODE] or world.bind(pod, NODE):
            continue
        world.watch_networks()
        channels -= sum(len(e.slots) for e in world.networks.reservations() if e.owner.uid == uid)
        record = record_of(pod, node=NODE)
        fate = dice.random()
        if fate < 0.1:
            record = replace(record, deleting=True)
        elif fate < 0.2:
            record = replace(record, namespace="kube-system")
        scene.pods.append(record)
    scene.cpu = world.cpu.node
    scene.entries = world.networks.reservations()
    scene.channels = channels
    word = dice.choice(("HI", "HI", "HI", "LOW"))
    scene.criticality = Criticality[word]
    scene.asked = random_pod(dice, "asked", word, most=90)
    return scene


def check_plan(scene: Scene) -> str:
    """Compares the plan with all subsets; returns its outcome."""
    best = scene.brute_force()
    world = scene.world()
    world.filter(scene.asked, [NODE])
    answer = world.plan("asked")
    outcome, victims = str(answer["Outcome"]), answer["Victims"]
    assert isinstance(victims, list)
    if outcome == "plan":
        uids = [one["UID"] for one in victims]
        assert scene.key(uids) == best, answer
        assert scene.fits({*uids, *scene.ending()})
    elif outcome == "none":
        assert best is None, answer
    else:  # it fits at once, or when those leave that are ending
        assert best is not None
        assert best[1] == 0, answer
        assert (outcome == "unknown") == scene.fits(())
    return outcome


def check_bodies(scene: Scene, dice: random.Random, *, bodies: int) -> int:
    """Asks the verb preempt about random victims; returns how often a node was kept."""
    world = scene.world()
    allowed, every = set(scene.eligible()), [pod.uid for pod in scene.pods]
    kept = 0
    for _ in range(bodies):
        named = [uid for uid in every if dice.random() < dice.choice((0.2, 0.5))]
        if dice.random() < 0.1:
            named.append("nobody-knows-it")
        body = make_body(scene.asked, named, whole=dice.random() < 0.5)
        answer = json.loads(world.verbs.preempt(body))["NodeNameToMetaVictims"]
        if NODE not in answer:
            continue
        kept += 1
        victims = {one["UID"] for one in answer[NODE]["Pods"]}
        assert victims >= set(named)
        assert all(criticality_of(scene.pod(uid)) < scene.criticality for uid in victims)
        assert victims - scene.ending() <= allowed
        assert victims
        assert scene.fits(victims | scene.ending())
    return kept


def make_body(
    asked: Pod, victims: Sequence[str], *, whole: bool = False, node: str = NODE
) -> bytes:
    """``ExtenderPreemptionArgs`` of one node, with whole pods or their UIDs alone."""
    field, pods = "NodeNameToMetaVictims", [{"UID": uid} for uid in victims]
    listed: list[object] = list(pods)
    if whole:
        field, listed = "NodeNameToVictims", [{"metadata": {"uid": uid}} for uid in victims]
    given = {"Pods": listed, "NumPDBViolations": len(victims)}
    return json.dumps({"Pod": asked, field: {node: given}}).encode()


def check_race(dice: random.Random) -> int:
    """Others arrive in any order while the claimant's victim leaves; it is bound at last.

    The node publishes what it holds now and then. Returns how often another pod was refused.
    """
    world = World()
    claimant = rt_pod("hi", "HI", "40ms")
    victim = rt_pod("low", "LOW", "30ms")
    world.cpu.node = fill(world, NODE, victim)
    world.watch_pod(claiming(world, claimant, NODE, "low"))
    leaves, refused = dice.randrange(8), 0
    for step in range(8):
        if step == leaves:
            world.cpu.node = world.cpu.node.without("low")
            world.tables.pod_feed.delete("low")
        if dice.random() < 0.4:
            publish(world, NODE, world.cpu.node, generation=step + 2)
        pod = rt_pod(f"t{step}", "LOW", f"{dice.randrange(5, 45)}ms")
        world.watch_pod(record_of(pod))
        if world.filter(pod, [NODE])["NodeNames"] != [NODE] or world.bind(pod, NODE):
            refused += 1
        else:
            world.watch_pod(record_of(pod, node=NODE))
    publish(world, NODE, world.cpu.node, generation=99)
    assert world.filter(claimant, [NODE])["NodeNames"] == [NODE]
    assert world.bind(claimant, NODE) == ""
    return refused


def check_replica_race(dice: random.Random) -> int:
    """The same with two replicas, each of which sees what the node publishes when it may."""
    cpu = FakeRubicante(make_cpu_node())
    replicas = [World(cpu=cpu, name=f"replica-{number}") for number in range(2)]
    claimant, victim = rt_pod("hi", "HI", "40ms"), rt_pod("low", "LOW", "10ms")
    for replica in replicas:
        cpu.node = fill(replica, NODE, victim)
        replica.watch_pod(claiming(replica, claimant, NODE, "low"))
    leaves, refused = dice.randrange(8), 0
    for step in range(8):
        if step == leaves:
            cpu.node, cpu.generation = cpu.node.without("low"), cpu.generation + 1
            for replica in replicas:
                replica.tables.pod_feed.delete("low")
        for replica in replicas:
            if dice.random() < 0.4:
                publish(replica, NODE, cpu.node, generation=cpu.generation)
        pod, replica = (
            rt_pod(f"t{step}", "LOW", f"{dice.randrange(5, 30)}ms"),
            dice.choice(replicas),
        )
        if replica.filter(pod, [NODE])["NodeNames"] != [NODE] or replica.bind(pod, NODE):
            refused += 1
    for replica in replicas:
        publish(replica, NODE, cpu.node, generation=cpu.generation)
    assert replicas[0].filter(claimant, [NODE])["NodeNames"] == [NODE]
    assert replicas[0].bind(claimant, NODE) == ""
    return refused
