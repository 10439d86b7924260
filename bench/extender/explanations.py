"""Explanations against filter over random clusters, their time, and what they cost filter.

    python -m bench.extender.explanations [--pods 1000] [--nodes 50] [--calls 300]

The law: verdict, text and score of each node are filter's and prioritize's, for every pod, and an
explanation changes no metric and no later answer. Clusters have hazards, stale daemons, full cores,
networks, tenants, claims, runtime classes and nodes that must be asked themselves.
"""

import argparse
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from statistics import quantiles

from extender.__main__ import tune_collector
from tests.fakes.extender.world import make_args
from tests.oracles.explanations import Cluster, check, random_cluster, random_pod

PODS_OF_A_CLUSTER = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--calls", type=int, default=300, help="of filter, beside explanations")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    tune_collector()
    if options.pods:
        compare(options.pods, options.nodes)
    if options.calls:
        measure_filter(options.calls, options.nodes)


def compare(pods: int, nodes: int) -> None:
    """The law; the pauses between trials pass on the fake clock, so a time is that of the CPU."""
    reasons: Counter[str] = Counter()
    remedies = judged = 0
    times: list[float] = []
    for first in range(0, pods, PODS_OF_A_CLUSTER):
        twins = [random_cluster(first, nodes=nodes) for _ in range(2)]
        timed = random_cluster(first, nodes=nodes)
        dice = random.Random(first)  # noqa: S311  # a benchmark repeats itself
        for number in range(first, min(first + PODS_OF_A_CLUSTER, pods)):
            pod = random_pod(dice, number)
            counted, found = check(twins[0], twins[1], pod)
            reasons += counted
            judged += len(found.nodes)
            remedies += sum(bool(one.remedies) for one in found.nodes)
            times.append(
                timed_call(partial(timed.world.verbs.explain, make_args(pod, timed.names)))
            )
    print(f"{pods} pods x {nodes} nodes (and one that nobody knows): {judged} equal verdicts")
    print(f"nodes with a remedy that was tried: {remedies}")
    for reason, count in reasons.most_common():
        print(f"  {count:6d} {reason}")
    print("| CPU of an explanation, cold, ms | p50 | p99 | longest |")
    print(f"| | {percentile(times, 50):.0f} | {percentile(times, 99):.0f} | {max(times):.0f} |")


def measure_filter(calls: int, nodes: int) -> None:
    """Filter's time alone and while a thread explains without pause, each call for a new pod."""
    print("| filter, ms | p50 | p99 |")
    for beside in (False, True):
        cluster = random_cluster(7, nodes=nodes)
        pause(cluster)
        stop = threading.Event()
        made: list[float] = []
        thread = threading.Thread(target=explain_on, args=(cluster, stop, made))
        if beside:
            thread.start()
        dice = random.Random(11)  # noqa: S311
        times = []
        for number in range(calls):
            body = make_args(random_pod(dice, number), cluster.names)
            started = time.perf_counter()
            cluster.world.verbs.filter(body)
            times.append((time.perf_counter() - started) * 1000)
            time.sleep(0.005)
        stop.set()
        if beside:
            thread.join()
        what = f"beside {len(made)} explanations" if beside else "alone"
        print(f"| {what} | {percentile(times, 50):.1f} | {percentile(times, 99):.1f} |")
        if made:
            of = [one * 1000 for one in made]
            print(f"| of these each, ms | {percentile(of, 50):.0f} | {percentile(of, 99):.0f} |")


def pause(cluster: Cluster) -> None:
    """Pauses between trials take their time, as in the process, and no clock ends a search."""
    cluster.world.clock.advance = time.sleep  # type: ignore[assignment, method-assign]  # real


def explain_on(cluster: Cluster, stop: threading.Event, made: list[float]) -> None:
    """One explanation after another, each with its time."""
    dice = random.Random(13)  # noqa: S311
    number = 100_000
    while not stop.is_set():
        began = time.perf_counter()
        cluster.world.verbs.explain(make_args(random_pod(dice, number), cluster.names))
        made.append(time.perf_counter() - began)
        number += 1


def timed_call(run: partial[bytes]) -> float:
    started = time.process_time()
    run()
    return (time.process_time() - started) * 1000


def percentile(times: Sequence[float], which: int) -> float:
    return quantiles(times, n=100, method="inclusive")[which - 1]


if __name__ == "__main__":
    main()
