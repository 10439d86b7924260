"""CPU time of an admission, and of one response-time analysis beside an independent package.

    python -m bench.cpu_admission [--nodes 60]

Nodes are random and partly filled, pods have one to three tasks with periods of 20 ms to 1 s; the
tick is 4 ms. Process CPU time, so that a busy machine disturbs less; the best of three rounds.
"""

import argparse
from collections.abc import Callable
from functools import partial
from random import Random
from statistics import mean
from time import process_time

from response_time_analysis import fp, model

from k40s.cpu.admission import admit
from k40s.cpu.hierarchy import TaskFigures
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.cpu.response import response_time
from tests.oracles.pods import empty_node, random_pod

Analysis = Callable[[tuple[TaskFigures, ...]], list[int | None]]

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


def random_nodes(count: int, cores: int) -> list[CpuNode]:
    nodes = []
    for seed in range(count):
        chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
        node = empty_node(TICK_MS, cores)
        for number in range(chance.randrange(3 * cores + 1)):
            outcome = admit(node, random_pod(chance, f"p{number}"))
            node = outcome.node if isinstance(outcome, Admission) else node
        nodes.append(node)
    return nodes


def admissions(nodes: list[CpuNode], pods: list[PodDemand]) -> tuple[float, float]:
    """Microseconds per admission, share of pods admitted."""
    taken = [isinstance(admit(node, pod), Admission) for pod in pods for node in nodes]
    seconds = best_of(lambda: [admit(node, pod) for pod in pods for node in nodes])
    return seconds / len(taken) * 1e6, mean(taken)


def task_sets(count: int, size: int) -> list[tuple[TaskFigures, ...]]:
    chance = Random(size)  # noqa: S311  # the same
    sets = []
    for _ in range(count):
        tasks = []
        for _ in range(size):
            period = chance.randrange(1_000, 100_000)
            tasks.append((max(1, int(period * 0.7 / size)), period, period))
        sets.append(tuple(sorted(tasks, key=lambda task: task[1])))
    return sets


def ours(tasks: tuple[TaskFigures, ...]) -> list[int | None]:
    return [
        response_time(wcet=c, deadline=d, above=tuple((a, b, 0) for a, b, _ in tasks[:index]))
        for index, (c, _, d) in enumerate(tasks)
    ]


def theirs(tasks: tuple[TaskFigures, ...]) -> list[int | None]:
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


def analyse_all(analyse: Analysis, sets: list[tuple[TaskFigures, ...]]) -> None:
    for tasks in sets:
        analyse(tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=60)
    count = parser.parse_args().nodes
    chance = Random(9_000)  # noqa: S311  # the same
    pods = [random_pod(chance, "new") for _ in range(5)]
    print("cores  reservations/node  admitted  us/admission")
    for cores in (1, 2, 4, 8):
        nodes = random_nodes(count, cores)
        held = mean(len(node.reservations) for node in nodes)
        microseconds, admitted = admissions(nodes, pods)
        print(f"{cores:5}  {held:17.1f}  {admitted:8.2f}  {microseconds:12.0f}")
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
