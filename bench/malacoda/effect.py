"""How late a real-time thread wakes beside stress in another pod, before and after each step.

Usage: ``python -m bench.malacoda.effect [--cpu 1] [--seconds 12] [--rounds 2] [--stressor open]
[--quota 1/10]``, as root on cgroup v1, with stress-ng. A SCHED_FIFO thread wakes every 10 ms on the
CPU on which the pods of ``real_pods`` run; the actuator throttles the noisy one and then freezes
it, as it does for malacoda.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from bench.malacoda.real_pods import ROOT, RealPods, uid
from daemons.malacoda.actuator.actuator import Actuator
from daemons.malacoda.actuator.book import HoldBook
from daemons.malacoda.actuator.gate import GatePolicy
from daemons.malacoda.actuator.kernel import LinuxCgroups
from daemons.malacoda.actuator.protocol import Request, Result, Verb
from daemons.malacoda.actuator.real_time import ReservationFile
from k40s.assurance.response.acts import Step
from k40s.assurance.response.policy import ResponsePolicy
from k40s.runtime.store import Store

PERIOD = 0.01
PRIORITY = 98
STRESSORS = 8
NOISY = "idle-a"


def main() -> None:
    """Print the lateness in each phase of each round, and the ratio to quiet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--stressor", default="open")
    parser.add_argument("--quota", type=Fraction, default=ResponsePolicy().quota)
    arguments = parser.parse_args()
    (ROOT / "cpu/cgroup.procs").write_text("0")  # where real-time threads may run
    os.sched_setaffinity(0, {arguments.cpu})
    limit = int(arguments.rounds * (4 * arguments.seconds + 10)) + 30
    print("| round | phase | p50 us | p90 | p99 | max | p99 to quiet | steal |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        pods = RealPods(cpu=arguments.cpu, scratch=Path(scratch), limit=limit)
        try:
            pods.open()
            time.sleep(3)
            for number in range(1, arguments.rounds + 1):
                play(pods, number, arguments)
        finally:
            pods.close()


def play(pods: RealPods, number: int, arguments: argparse.Namespace) -> None:
    """Quiet, stress, stress under the quota, stress that is frozen."""
    seconds, stressor, quota = arguments.seconds, arguments.stressor, arguments.quota
    actuator = Actuator(
        files=LinuxCgroups(ROOT),
        book=HoldBook(Store(Path(":memory:")), boot="bench"),
        policy=GatePolicy(allowed=frozenset({Step.QUOTA, Step.FREEZE})),
        cgroup_root=pods.cgroup_root,
        real_time=ReservationFile(None),
    )
    quiet = show(number, "quiet", seconds, reference=None)
    stress = pods.stress(NOISY, [stressor], STRESSORS, seconds=round(3 * seconds) + 60)
    time.sleep(1)
    show(number, f"{STRESSORS} x {stressor}", seconds, reference=quiet)
    steps = (
        (
            Request(verb=Verb.THROTTLE, uid=uid(NOISY), pod=NOISY, quota=quota),
            f"with a quota of {float(quota):g}",
        ),
        (Request(verb=Verb.FREEZE, uid=uid(NOISY), pod=NOISY), "frozen"),
    )
    try:
        for request, phase in steps:
            answer = actuator.answer(request)
            if answer.result is not Result.DONE:
                raise SystemExit(f"no {request.verb}: {answer}")
            show(number, phase, seconds, reference=quiet)
        if stress.poll() is not None:
            raise SystemExit("the stress ended before the round did")
    finally:
        actuator.undo_all("the round ends")
    pods.end(stress)
    time.sleep(3)


def show(number: int, phase: str, seconds: float, *, reference: float | None) -> float:
    """Measure one phase and print its row; returns the 99th percentile."""
    before = steal()
    late = sorted(measure(seconds))
    p99 = percentile(late, 99)
    ratio = "" if reference is None else f"{p99 / reference:.2f}"
    figures = " | ".join(f"{percentile(late, q):.0f}" for q in (50, 90, 99, 100))
    print(f"| {number} | {phase} | {figures} | {ratio} | {steal() - before} ticks |", flush=True)
    return p99


def measure(seconds: float) -> list[float]:
    """Microseconds by which each wake-up of a SCHED_FIFO thread is late."""
    late = []
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    try:
        for _ in range(int(seconds / PERIOD)):
            due = time.monotonic_ns() + int(PERIOD * 1e9)
            time.sleep(PERIOD)
            late.append((time.monotonic_ns() - due) / 1000)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return late


def percentile(values: Sequence[float], q: int) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, len(values) * q // 100)]


def steal() -> int:
    """Clock ticks that the hypervisor took from the machine."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])


if __name__ == "__main__":
    main()
