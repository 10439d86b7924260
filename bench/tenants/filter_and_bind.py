"""What Tenants cost: filter with and without them in one run, and the CPU time of a bind's entry.

    python -m bench.tenants.filter_and_bind [ROUNDS]

500 nodes; the namespace has 200 pods that count. Prints medians of CPU time in milliseconds. What
the API server takes for the write of an entry is not in it: see the test of racing binders.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import (
    World,
    make_args,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)


class Timed(Protocol):
    def __call__(self, rounds: int, *, tenants: bool) -> float: ...


NODES = [f"n{index}" for index in range(500)]
PODS = 200


def world(*, tenants: bool) -> World:
    """All nodes fit the pod."""
    made = World()
    for name in NODES:
        made.add(make_node(name, level=20, cpu=make_cpu_state()))
    if tenants:
        made.bound_by(make_tenant("line", cpus="500", hi_pods=PODS * 2), make_tenant("default"))
    for index in range(PODS):
        pod = make_pod(f"p{index}", criticality="HI", tasks=[make_task()])
        made.watch_pod(record_of(pod, node=NODES[index]))
    return made


def median(calls: Iterable[Callable[[], object]]) -> float:
    """Milliseconds."""
    taken = []
    for call in calls:
        begin = time.process_time_ns()
        call()
        taken.append((time.process_time_ns() - begin) / 1e6)
    return statistics.median(taken)


def filter_time(rounds: int, *, tenants: bool) -> float:
    """Of a pod that is new each time."""
    made = world(tenants=tenants)
    pods = [make_pod(f"x{n}", criticality="HI", tasks=[make_task()]) for n in range(rounds)]
    bodies = [make_args(pod, NODES) for pod in pods]
    return median(partial(made.verbs.filter, body) for body in bodies)


def bind_time(rounds: int, *, tenants: bool) -> float:
    """Of pods that have just passed filter; the node's daemon is in memory."""
    made = world(tenants=tenants)
    pods = [make_pod(f"y{n}", criticality="HI") for n in range(rounds)]
    for pod in pods:
        made.filter(pod, NODES[:1])
    return median(partial(made.bind, pod, NODES[0]) for pod in pods)


def main(rounds: int) -> None:
    ways: tuple[Timed, Timed] = (filter_time, bind_time)
    filters, binds = (
        {tenants: min(of(rounds, tenants=tenants) for _ in range(2)) for tenants in (False, True)}
        for of in ways
    )
    print(
        f"filter of {len(NODES)} nodes: {filters[False]:.3f} ms, {filters[True]:.3f} with Tenants"
    )
    print(f"ratio: {filters[True] / filters[False]:.3f}")
    print(f"bind: {binds[False]:.3f} ms, {binds[True]:.3f} ms with Tenants")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
