"""Process CPU time of the extender's calls, with plain JSON as the baseline.

    python -m bench.extender.calls [--rounds 7]

Body in, reply out, without HTTP. Every figure is the least of the rounds, which are interleaved.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.extender.world import random_states
from extender.__main__ import tune_collector
from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from tests.fakes.extender.networks import make_stations, make_tdma, slot
from tests.fakes.extender.world import (
    World,
    make_args,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)

REPEATS = 20
REAL_TIME_NODES = 500
LEVELS = range(5, 21)
STATIONS, SLOTS, JITTERS = 500, 60, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    what: str
    goal_ms: float | None
    run: Callable[[], object]
    repeats: int = REPEATS
    before: Callable[[], object] = lambda: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    tune_collector()
    rows = [
        *call_rows(500),
        *call_rows(5000),
        *real_time_rows(),
        *network_rows(),
        bind_row(),
    ]
    best = dict.fromkeys((row.what for row in rows), float("inf"))
    for _ in range(options.rounds):
        for row in rows:
            best[row.what] = min(best[row.what], cpu_ms(row))
    print("| call | CPU, ms | goal, ms | |")
    print("|---|---|---|---|")
    for row in rows:
        goal = "" if row.goal_ms is None else f"{row.goal_ms:g}"
        verdict = (
            "" if row.goal_ms is None else "met" if best[row.what] <= row.goal_ms else "MISSED"
        )
        print(f"| {row.what} | {best[row.what]:.2f} | {goal} | {verdict} |")


def cpu_ms(row: Row) -> float:
    row.before()
    started = time.process_time()
    for _ in range(row.repeats):
        row.run()
    return (time.process_time() - started) * 1000 / row.repeats


def call_rows(count: int) -> list[Row]:
    """Nodes of every level, three pods on each; so most refuse HI and some refuse LOW."""
    dice = random.Random(count)  # noqa: S311  # a benchmark repeats itself
    names = [f"node-{number:04d}" for number in range(count)]
    world = World()
    world.add(*(make_node(name, level=dice.choice(LEVELS)) for name in names))
    pods = [make_pod_record(f"pod-{i}", node=dice.choice(names)) for i in range(3 * count)]
    world.cache.pods.replace(pods)
    rows = [Row(what=f"{count} names: plain JSON in and out", goal_ms=None, run=echo(names))]
    for criticality in ("NO", "LOW", "HI"):
        body = make_args(make_pod(criticality=criticality), names)
        rows += [
            Row(what=f"{count} names: {verb} {criticality}", goal_ms=3, run=call(answer, body))
            for verb, answer in verbs(world).items()
        ]
    return rows


def echo(names: list[str]) -> Callable[[], object]:
    body = make_args(make_pod(), names)
    return lambda: json.dumps({"NodeNames": json.loads(body)["NodeNames"]})


def verbs(world: World) -> Mapping[str, Callable[[bytes], bytes]]:
    return {"filter": world.verbs.filter, "prioritize": world.verbs.prioritize}


def call(answer: Callable[[bytes], bytes], body: bytes) -> Callable[[], object]:
    return lambda: answer(body)


def real_time_rows() -> list[Row]:
    """A real-time pod over nodes of two cores, all with other reservations (two on average)."""
    states = [published(state) for state in random_states(REAL_TIME_NODES, seed=1)]
    names = [f"node-{number:04d}" for number in range(len(states))]
    world = World()
    records = [
        make_node(name, level=18, cpu=state) for name, state in zip(names, states, strict=True)
    ]
    world.add(*records)
    body = make_args(make_pod(criticality="HI", tasks=[make_task("20ms", "200ms")]), names)
    generations = iter(range(2, 1_000_000))

    def touch(count: int) -> None:
        """Publish other states (a new generation) for so many nodes."""
        number = next(generations)
        for name, state in zip(names[:count], states[:count], strict=True):
            changed = make_cpu_state(state.node, generation=number)
            world.cache.nodes.upsert(make_node(name, level=18, cpu=changed))

    label = f"{len(names)} real-time nodes"
    return [
        Row(
            what=f"{label}: filter, all states new",
            goal_ms=250,
            run=call(world.verbs.filter, body),
            repeats=1,
            before=lambda: touch(len(names)),
        ),
        Row(
            what=f"{label}: filter, one state new",
            goal_ms=5,
            run=call(world.verbs.filter, body),
            repeats=1,
            before=lambda: touch(1),
        ),
        Row(what=f"{label}: filter, none new", goal_ms=None, run=call(world.verbs.filter, body)),
        Row(
            what=f"{label}: prioritize, none new",
            goal_ms=None,
            run=call(world.verbs.prioritize, body),
        ),
    ]


def network_rows() -> list[Row]:
    """A pod with a slot over the members of a network with 60 slots in place, ten jitters."""
    names = [f"node-{number:04d}" for number in range(STATIONS)]
    world = World()
    world.add(*(make_node(name, level=18, stations=make_stations()) for name in names))
    jitters = {name: number % JITTERS for number, name in enumerate(names)}
    world.declare(make_tdma(nodes=names, jitters=jitters))
    for number in range(SLOTS):
        pod = make_pod(f"held-{number}", networks=[slot(payload="200B", period="4ms")])
        world.filter(pod, names[:1])
        if error := world.bind(pod, names[0]):
            raise SystemExit(error)
    body = make_args(make_pod("new", networks=[slot(payload="200B", period="8ms")]), names)

    def touch() -> None:
        """Another version of the Network."""
        world.networks.write("plant", world.networks.reservations())
        world.watch_networks()

    label = f"{STATIONS} members, {SLOTS} slots held"
    return [
        Row(
            what=f"{label}: filter, Network new, {JITTERS} jitters",
            goal_ms=None,
            run=call(world.verbs.filter, body),
            repeats=1,
            before=touch,
        ),
        Row(
            what=f"{label}: filter, Network known",
            goal_ms=10,
            run=call(world.verbs.filter, body),
        ),
        Row(
            what=f"{label}: prioritize, Network known",
            goal_ms=None,
            run=call(world.verbs.prioritize, body),
        ),
    ]


def bind_row() -> Row:
    """Pods without tasks, each bound once: the node's and the API server's parts are fakes."""
    world = World()
    world.add(make_node("node", level=20))
    numbers = iter(range(1_000_000))
    waiting: list[dict[str, object]] = []

    def arrive() -> None:
        for _ in range(REPEATS):
            waiting.append(make_pod(f"pod-{next(numbers)}", criticality="HI"))
            world.filter(waiting[-1], ["node"])

    return Row(
        what="bind", goal_ms=None, run=lambda: world.bind(waiting.pop(), "node"), before=arrive
    )


def published(state: CpuState) -> CpuState:
    """The state as the extender reads it."""
    return parse_cpu_state(format_cpu_state(state))


if __name__ == "__main__":
    main()
