"""Runs in a guest: which pod malacoda names where cgroup v2 is all there is.

Prints one JSON object a line: the fact's name, and its value.
"""

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import UsageReader
from k40s.assurance.suspects.attribution import AttributionState, attribute
from k40s.assurance.suspects.usage import PodIdentity
from k40s.assurance.suspects.verdict import AttributionPolicy, Finding
from k40s.criticality import Criticality
from k40s.units import NS_PER_S, Nanoseconds

ROOT = Path("/sys/fs/cgroup")
CPU = 1
WORKERS = 6
QUIET, HAZARD, ALARM = 12.0, 6.0, 2.0
"""Seconds of quiet, of the hazard after it, and of the hazard before the alarm."""
CRITICAL, NOISY, BUSY, FREE = (f"00000000-0000-4000-8000-{n:012d}" for n in (1, 2, 3, 4))
PODS = {
    CRITICAL: PodIdentity(name="default/critical", criticality=Criticality.HI),
    NOISY: PodIdentity(name="default/noisy", criticality=Criticality.NO),
    BUSY: PodIdentity(name="default/busy", criticality=Criticality.NO),
    FREE: PodIdentity(name="default/free", criticality=Criticality.NO),
}


def tell(fact: str, value: object) -> None:
    sys.stdout.write(json.dumps({"fact": f"usage-{fact}", "value": value}) + "\n")
    sys.stdout.flush()


def tree(name: str, controllers: str) -> Path:
    """Kubepods below a cgroupRoot, with controllers for the pods."""
    path = ROOT
    for part in (name, "kubepods", "burstable"):
        enable(path, controllers)
        path /= part
        path.mkdir()
    enable(path, controllers)
    return path


def enable(path: Path, controllers: str) -> None:
    for controller in controllers.split():
        (path / "cgroup.subtree_control").write_text(f"+{controller}")


def pod(parent: Path, uid: str, cpus: str) -> Path:
    """A pod with one container, on these CPUs where there is a cpuset controller."""
    path = parent / f"pod{uid}"
    path.mkdir()
    if (path / "cpuset.cpus").exists():
        (path / "cpuset.cpus").write_text(cpus)
    (path / ("c" * 64)).mkdir()
    return path / ("c" * 64)


def work(container: Path, cpus: set[int], *, kernel: bool, stack: ExitStack) -> None:
    """A process of the pod that keeps its CPU busy, in the kernel or in user space."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(120)
        (container / "cgroup.procs").write_text("0")
        os.sched_setaffinity(0, cpus)
        while True:
            if kernel:
                os.close(os.open("/proc/self/stat", os.O_RDONLY))
    stack.callback(os.waitpid, pid, 0)
    stack.callback(os.kill, pid, signal.SIGKILL)


def observe(name: str, controllers: str, cpus: set[int], noisy: str) -> None:
    """A busy neighbour from the beginning, then the hazard in a pod: who is named."""
    parent = tree(name, controllers)
    confined = {uid: pod(parent, uid, str(CPU)) for uid in (CRITICAL, NOISY, BUSY)}
    containers = {**confined, FREE: pod(parent, FREE, "0-1")}
    reader = UsageReader(
        cpus=cpus,
        clock=time.monotonic_ns,
        root=ROOT,
        cgroup_root=f"/{name}",
        # An emulated CPU takes far longer for a scan, which must not rest for that.
        runnable=RunnableThreads(cpus=cpus, most=Nanoseconds(5 * NS_PER_S), duty=1.0),
    )
    sampler = Sampler(cpus=cpus, clock=time.monotonic_ns)
    state = AttributionState()
    begun, started = time.monotonic(), False
    with ExitStack() as stack:
        work(containers[BUSY], {CPU}, kernel=False, stack=stack)
        while (second := time.monotonic() - begun) < QUIET + HAZARD:
            if second >= QUIET and not started:
                started = True
                for _ in range(WORKERS):
                    where = {0, 1} if noisy == FREE else {CPU}
                    work(containers[noisy], where, kernel=True, stack=stack)
            alarm = second >= QUIET + ALARM
            sample = reader.read(PODS, stat=sampler.sample().stat, with_threads=alarm)
            state = attribute(
                state,
                AttributionPolicy(),
                sample,
                high=started,
                alarm=alarm,
                threatened=Criticality.HI,
            )
            time.sleep(0.5)
    tell(f"{name}-verdict", describe(state.finding))
    tell(f"{name}-faults", sorted(source for source, count in reader.faults.items() if count))
    tell(f"{name}-pressure", sorted(reader.read_pressure([CRITICAL])))
    reader.close()
    sampler.close()


def describe(finding: Finding | None) -> list[object]:
    if finding is None:
        return []
    culprit = finding.culprit.name if finding.culprit else None
    shares = [f"{share.name or 'outside'} {share.score:.2f}" for share in finding.shares[:3]]
    return [finding.verdict.value, culprit, finding.threads, shares]


if __name__ == "__main__":
    observe("part", "cpu cpuset pids", {CPU}, NOISY)
    observe("whole", "cpu cpuset pids", {0, CPU}, NOISY)
    observe("unconfined", "cpu cpuset pids", {CPU}, FREE)
    observe("bare", "", {0, CPU}, NOISY)
