"""A periodic real-time task: `periodic.py NAME PERIOD_MS WORK_MS`. Needs nothing but Python.

The thread is named like the task in the pod's k40s.io/tasks: that is how k40s finds it. It asks for
no priority and no capability; k40s sets both from outside.
"""

import os
import sys
import time
from pathlib import Path

name, period_ms, work_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
period, work, report_every = period_ms * 1_000_000, work_ms * 1_000_000, 5_000_000_000

Path("/proc/thread-self/comm").write_text(name)

jobs = late = 0
release = time.monotonic_ns()
reported = release
while True:
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < work:
        pass
    jobs += 1
    late += time.monotonic_ns() > release + period
    release += period
    if release - reported >= report_every:
        policy = {0: "SCHED_OTHER", 1: "SCHED_FIFO"}.get(os.sched_getscheduler(0), "?")
        print(f"{jobs} jobs, {late} late, {policy}", flush=True)
        reported = release
    time.sleep(max(0, release - time.monotonic_ns()) / 1e9)
