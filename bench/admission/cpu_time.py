"""CPU time of an admission, of a least budget, and of one analysis beside an independent package.

    python -m bench.admission.cpu_time [--nodes 60]

Nodes are random and partly filled, pods have one to three tasks with periods of 20 ms to 1 s; the
tick is 4 ms. "own" is rt-cgroups with a group for each reservation, "shared" with groups that cores
share, "both" with SCHED_DEADLINE besides. The least budget is that of one server, three tasks, to
the microsecond, on each of eight cores with up to four servers above. Process CPU time, so that a
busy machine disturbs less; the best of three rounds.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product
from random import Random
from statistics import mean, median, quantiles
from time import process_time

from response_time_analysis import fp, model

from k40s.cpu.admission.admit import admit
from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget
from k40s.cpu.analysis.response_time import Interference, TaskParameters, response_time
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, PodDemand
from k40s.cpu.outcome import Admission
from k40s.cpu.synthesis import least_budget
from tests.oracles.pods import empty_node, random_pod

Analysis = Callable[[tuple[TaskParameters, ...]], list[int | None]]

ROUNDS = 3
TICK_MS = 4


def best_of(work: Callable[[], object]) -> float:
    """Seconds of CPU time."""
    times = []
    for _ in range(ROUNDS):
        start = process_time()
        work()
        times.append(process_time() - start)
    return min(times)


def empty(kind: str, cores: int) -> CpuNode:
    node = empty_node(TICK_MS, cores)
    if kind != "own":
        node = replace(node, shared_groups=True, node_capacity=Fraction(95, 100))
    if kind == "both":
        offer = DeadlineOffer(tick=node.tick, capacity=Fraction(9, 10), domain=Domain.PARTITIONED)
        node = replace(node, deadline=offer)
    return node


def random_nodes(count: int, kind: str, cores: int) -> list[CpuNode]:
    nodes = []
    for seed in range(count):
        chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
        node = empty(kind, cores)
        for number in range(chance.randrange(3 * cores + 1)):
            outcome = admit(node, random_pod(chance, f"p{number}"))
            node = outcome.node if isinstance(outcome, Admission) else node
        nodes.append(node)
    return nodes


def admissions(nodes: list[CpuNode], pods: list[PodDemand]) -> tuple[float, float, float]:
    """Median and 99th percentile in milliseconds, share of pods admitted."""
    times = []
    taken = []
    for pod in pods:
        for node in nodes:
            taken.append(isinstance(admit(node, pod), Admission))
            times.append(best_of(partial(admit, node, pod)) * 1e3)
    return median(times), quantiles(times, n=100)[-1], mean(taken)


def least_budgets() -> float:
    """Milliseconds for eight cores."""
    chance = Random(8)  # noqa: S311  # the same
    cores: list[tuple[tuple[TaskParameters, ...], tuple[int, int], int, Interference]] = []
    while len(cores) < 8:
        above = tuple(
            deferrable(chance.randrange(1_000, 6_000), chance.randrange(50_000, 200_000))
            for _ in range(chance.randrange(5))
        )
        tasks = tuple(
            (period // chance.randrange(20, 60), period, period)
            for period in sorted(chance.randrange(100_000, 1_000_000) for _ in range(3))
        )
        period = tasks[0][1] // 2
        high = largest_budget(period, above, TICK_MS * 1_000)
        cores.append((tasks, (1, high), period, above))

    def work() -> None:
        for tasks, among, period, above in cores:
            assert least_budget(tasks, among, period, above, TICK_MS * 1_000) is not None

    return best_of(work) * 1e3


def task_sets(count: int, size: int) -> list[tuple[TaskParameters, ...]]:
    chance = Random(size)  # noqa: S311  # the same
    sets = []
    for _ in range(count):
        tasks = []
        for _ in range(size):
            period = chance.randrange(1_000, 100_000)
            tasks.append((max(1, int(period * 0.7 / size)), period, period))
        sets.append(tuple(sorted(tasks, key=lambda task: task[1])))
    return sets


def ours(tasks: tuple[TaskParameters, ...]) -> list[int | None]:
    return [
        response_time(wcet=c, deadline=d, above=tuple((a, b, 0) for a, b, _ in tasks[:index]))
        for index, (c, _, d) in enumerate(tasks)
    ]


def theirs(tasks: tuple[TaskParameters, ...]) -> list[int | None]:
    whole = model.taskset(
        [
            model.Task(
                arrivals=model.Sporadic(period),
                execution=model.FullyPreemptive(model.WCET(wcet)),
                priority=model.Priority(len(tasks) - index),
            )
            for index, (wcet, period, _) in enumerate(tasks)
        ]
    )
    return [
        fp.rta(whole, task, model.IdealProcessor(), horizon=10**6).response_time_bound
        for task in whole
    ]


def analyse_all(analyse: Analysis, sets: list[tuple[TaskParameters, ...]]) -> None:
    for tasks in sets:
        analyse(tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=60)
    count = parser.parse_args().nodes
    chance = Random(9_000)  # noqa: S311  # the same
    pods = [random_pod(chance, "new") for _ in range(5)]
    print("kind    cores  reservations/node  admitted  p50 ms  p99 ms")
    for kind, cores in product(("own", "shared", "both"), (1, 8, 64)):
        nodes = random_nodes(max(2, count // cores), kind, cores)
        held = mean(len(node.reservations) for node in nodes)
        middle, late, admitted = admissions(nodes, pods)
        print(f"{kind:6}  {cores:5}  {held:17.1f}  {admitted:8.2f}  {middle:6.2f}  {late:6.2f}")
    print()
    print(f"least budgets on 8 cores: {least_budgets():.2f} ms")
    print()
    print("tasks  us/set  response-time-analysis us/set  ratio")
    for size in (4, 8, 16):
        sets = task_sets(20, size)
        assert [ours(tasks) for tasks in sets] == [theirs(tasks) for tasks in sets]
        own = best_of(partial(analyse_all, ours, sets)) / len(sets) * 1e6
        other = best_of(partial(analyse_all, theirs, sets)) / len(sets) * 1e6
        print(f"{size:5}  {own:6.0f}  {other:29.0f}  {other / own:5.0f}")


if __name__ == "__main__":
    main()
