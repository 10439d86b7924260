"""A periodic real-time task: `periodic.py NAME PERIOD_MS WORK_MS`. Needs nothing but Python.

The thread is named like the task in the pod's k40s.io/tasks: that is how k40s finds it. It asks for
no priority and no capability; k40s sets both from outside, a moment after the container's start.
Until then it runs as any other thread and no deadline can be kept: so it waits.
"""

import os
import sys
import time
from pathlib import Path

POLICIES = {0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 6: "SCHED_DEADLINE"}
ENFORCED = ("SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE")
REPORT_EVERY = 5_000_000_000


def policy() -> str:
    """This thread's policy. The kernel adds a flag to the number, which has to be taken away."""
    number = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return POLICIES.get(number, str(number))


def wait_until_enforced() -> None:
    """Sleep until k40s holds this thread: a busy wait would be a job that never ends."""
    print(f"waiting to be enforced: {policy()}", flush=True)
    while policy() not in ENFORCED:
        time.sleep(0.01)
    print(f"enforced: {policy()}", flush=True)


def work(amount: int) -> None:
    """Use so many nanoseconds of CPU time."""
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < amount:
        pass


def run_jobs(period: int, amount: int) -> None:
    """Do one job in each period (in ns), and count the late ones, while the thread is enforced."""
    release = reported = time.monotonic_ns()
    jobs = late = worst = 0
    while True:
        work(amount)
        response = time.monotonic_ns() - release
        if policy() not in ENFORCED:  # whatever this job did, nobody had promised anything
            print(f"no longer enforced: {policy()}", flush=True)
            return
        jobs, late, worst = jobs + 1, late + (response > period), max(worst, response)
        if release - reported >= REPORT_EVERY:
            ms = f"worst response {worst / 1e6:.1f} ms"
            print(f"{jobs} jobs, {late} late, {ms}, {policy()}", flush=True)
            reported = release
        release += period
        time.sleep(max(0, release - time.monotonic_ns()) / 1e9)


if __name__ == "__main__":
    name, period_ms, work_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    Path("/proc/thread-self/comm").write_text(name)
    while True:
        wait_until_enforced()
        run_jobs(period_ms * 1_000_000, work_ms * 1_000_000)
