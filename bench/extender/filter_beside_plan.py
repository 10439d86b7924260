"""How long filter takes while a preemption plan is searched for in the same process.

    python -m bench.extender.filter_beside_plan [--nodes 20] [--calls 300]

The plan is for a pod that fits nowhere, over nodes full of small pods. Filter is asked for pods of
ever other sizes, so that each call tests all nodes (cold), and for one pod again and again (warm).
Wall-clock times, as kube-scheduler sees them.
"""

import argparse
import json
import random
import socket
import threading
import time
from multiprocessing import Process
from statistics import quantiles

from bench.extender.preemption import full_node, holders, renamed
from extender.__main__ import tune_collector, tune_threads
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import (
    World,
    make_args,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)

PATIENCE = Nanoseconds(500 * NS_PER_MS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    tune_collector()
    tune_threads()
    dice = random.Random(1)  # noqa: S311  # a benchmark repeats itself
    world, names = cluster(dice, options.nodes)
    huge = make_pod("huge", criticality="HI", tasks=[make_task("176ms", "200ms")])
    world.verbs.filter(make_args(huge, names))
    plans = Plans(world, "uid-huge")
    print("| filter, ms | p50 | p99 | max |")
    print("|---|---|---|---|")
    for what, make in (("warm", warm), ("cold", cold)):
        for beside in (False, True):
            first = options.calls * beside
            bodies = [make(names, first + number) for number in range(options.calls)]
            world.clock.advance(1)  # another renewal
            for name in names:
                world.beat(name)
            if make is warm:
                world.verbs.filter(bodies[0])
            times = measure(world, bodies, plans if beside else None)
            cuts = quantiles(times, n=100, method="inclusive")
            title = f"{what}, {'beside a plan' if beside else 'alone'}"
            print(f"| {title} | {cuts[49]:.2f} | {cuts[98]:.2f} | {max(times):.2f} |")
    print(f"plans: {plans.outcomes}, each {max(plans.seconds, default=0):.2f} s at most")


class Plans:
    """Asks for plans, one after the other, in a thread."""

    def __init__(self, world: World, uid: str) -> None:
        self.outcomes: dict[str, int] = {}
        self.seconds: list[float] = []
        self._world = world
        body = {"PodUID": uid, "PodNamespace": "default", "PodName": "huge"}
        self._body = json.dumps(body).encode()
        self._stop = threading.Event()

    def __enter__(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            started = time.perf_counter()
            outcome = json.loads(self._world.verbs.preemption_plan(self._body))["Outcome"]
            self.seconds.append(time.perf_counter() - started)
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def warm(names: list[str], _number: int) -> bytes:
    """The same pod each time."""
    pod = make_pod("same", criticality="LOW", tasks=[make_task("2ms", "200ms")])
    return make_args(pod, names)


def cold(names: list[str], number: int) -> bytes:
    """A pod of another size each time."""
    task = make_task(f"{2000 + number}us", "200ms")
    return make_args(make_pod("other", criticality="LOW", tasks=[task]), names)


def measure(world: World, bodies: list[bytes], beside: "Plans | None") -> list[float]:
    """Milliseconds of each call, asked by another process over a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Process(target=ask, args=(theirs, bodies))
        client.start()
        server = threading.Thread(target=serve, args=(ours, world, len(bodies)))
        if beside is None:
            server.start()
            server.join()
        else:
            with beside:
                time.sleep(0.05)
                server.start()
                server.join()
        times: list[float] = json.loads(ours.makefile("rb").readline())
        client.join()
        return times


def ask(connection: socket.socket, bodies: list[bytes]) -> None:
    """The client's process, with pauses in between as the scheduler makes them."""
    answers, times = connection.makefile("rb"), []
    for body in bodies:
        started = time.perf_counter()
        connection.sendall(body + b"\n")
        answers.readline()
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(0.002)
    connection.sendall(json.dumps(times).encode() + b"\n")


def serve(connection: socket.socket, world: World, calls: int) -> None:
    """One thread of the server."""
    bodies = connection.makefile("rb")
    for _ in range(calls):
        body = bodies.readline()
        with world.calls:
            answer = world.verbs.filter(body)
        connection.sendall(answer + b"\n")


def cluster(dice: random.Random, count: int) -> tuple[World, list[str]]:
    """Nodes of two cores, full of bound LOW and HI pods."""
    world = World(on_clock=time.monotonic_ns, patience=PATIENCE)
    names = [f"node-{number:03d}" for number in range(count)]
    for name in names:
        node = renamed(full_node(dice), dice)
        world.add(make_node(name, level=18, cpu=make_cpu_state(node)))
        for uid, criticality in holders(node).items():
            annotations = {"k40s.io/criticality": criticality.name}
            world.watch_pod(make_pod_record(uid, node=name, annotations=annotations))
    return world, names


if __name__ == "__main__":
    main()
