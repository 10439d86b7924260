"""Usage of pods on the real kernel's cgroup v1, beside what their processes say they used."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import USAGE_SOURCES, UsageReader
from k40s.assurance.suspects.usage import NodeUsage, PodIdentity
from k40s.criticality import Criticality
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.cgroups import uid
from tests.kernel.conftest import eventually, is_removed
from tests.kernel.undisturbed import undisturbed

ROOT = Path("/sys/fs/cgroup")
ACCOUNTING, PIDS = ROOT / "cpuacct", ROOT / "pids"
CPU = 1
SECONDS = 3.0
USER, SYSTEM, IDLE = uid(1), uid(2), uid(3)
_LIMIT = 300
_PROGRAMS = {
    USER: "while time.monotonic() < end: sum(range(1000))",
    SYSTEM: "while time.monotonic() < end: os.pread(zero, 1 << 20, 0)",
    IDLE: "time.sleep(max(0, end - time.monotonic()))",
}
_START = (
    "import os, time; zero = os.open('/dev/zero', os.O_RDONLY); "
    f"end = time.monotonic() + {_LIMIT}; print('begun', flush=True)\n"
)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or not (ACCOUNTING / "cpuacct.usage_percpu_sys").exists()
    or not (PIDS / "tasks").exists()
    or CPU not in os.sched_getaffinity(0),
    reason=f"needs root, cpuacct and pids of cgroup v1, and CPU {CPU}",
)


@pytest.fixture
def pods() -> Iterator[tuple[str, dict[str, int]]]:
    """The cgroupRoot, and the process of each pod."""
    name = f"k40s-usage-{os.getpid()}"
    with ExitStack() as stack:
        processes: dict[str, int] = {}
        for hierarchy in (ACCOUNTING, PIDS):
            for path in ("", "kubepods", "kubepods/burstable"):
                make(hierarchy / name / path, stack)
        for pod, program in _PROGRAMS.items():
            process = subprocess.Popen(
                ["taskset", "-c", str(CPU), sys.executable, "-S", "-c", _START + program],
                stdout=subprocess.PIPE,
            )
            groups = [h / name / f"kubepods/burstable/pod{pod}" for h in (ACCOUNTING, PIDS)]
            for group in groups:
                make(group, stack)
                (group / "cgroup.procs").write_text(str(process.pid))
            stack.callback(end, process)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            assert process.stdout.readline() == b"begun\n"  # what it takes to start is no work
            processes[pod] = process.pid
        yield f"/{name}", processes


def make(group: Path, stack: ExitStack) -> None:
    group.mkdir()
    stack.callback(remove, group)


def remove(group: Path) -> None:
    """A group whose last process has just ended is busy for a moment."""
    eventually(lambda: is_removed(group))


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=30)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def ran(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


class Observed(NamedTuple):
    """Samples, and what the processes had used just before and just after each."""

    samples: list[NodeUsage]
    before: list[dict[str, int]]
    after: list[dict[str, int]]


def observe(processes: dict[str, int], reader: UsageReader) -> Observed:
    sampler = Sampler(cpus={CPU}, clock=time.monotonic_ns)
    known = dict.fromkeys(processes, PodIdentity(name="default/x", criticality=Criticality.NO))
    found = Observed([], [], [])
    for pause in (0.5, *[SECONDS / 6] * 6):
        threading.Event().wait(pause)
        found.before.append({pod: ran(pid) for pod, pid in processes.items()})
        found.samples.append(reader.read(known, stat=sampler.sample().stat, with_threads=True))
        found.after.append({pod: ran(pid) for pod, pid in processes.items()})
    sampler.close()
    return found


def split_rightly(samples: list[NodeUsage], took: float) -> bool:
    """Whether who is in the kernel is told from who is not.

    The kernel samples that in its ticks, of which a host that takes time lets some fall out.
    """
    slack = round(took * NS_PER_S)
    (user_all, user_kernel), (all_, kernel) = spent(samples, USER), spent(samples, SYSTEM)
    return kernel > 0.5 * all_ - slack and user_kernel < 0.2 * user_all + slack


def spent(samples: list[NodeUsage], pod: str) -> tuple[int, int]:
    """CPU time and system time between the first and the last sample; "" is the node."""
    first, last = ((s.pods[pod] if pod else s) for s in (samples[0], samples[-1]))
    assert None not in (first.used, first.system, last.used, last.system)
    return (last.used or 0) - (first.used or 0), (last.system or 0) - (first.system or 0)


def test_a_pods_usage_is_what_its_processes_used(pods: tuple[str, dict[str, int]]) -> None:
    cgroup_root, processes = pods
    reader = UsageReader(
        cpus={CPU},
        clock=time.monotonic_ns,
        root=ROOT,
        cgroup_root=cgroup_root,
        runnable=RunnableThreads(cpus={CPU}, duty=1.0, most=Nanoseconds(NS_PER_S)),
    )
    samples, before, after = undisturbed(
        lambda: observe(processes, reader),
        lambda found, took: split_rightly(found.samples, took),
        show=lambda found: f"spent {[spent(found.samples, pod) for pod in (USER, SYSTEM)]} ns",
    )
    reader.close()

    found = {pod: spent(samples, pod) for pod in (*processes, "")}
    least = {pod: before[-1][pod] - after[0][pod] for pod in processes}
    most = {pod: after[-1][pod] - before[0][pod] for pod in processes}
    print(f"of pods and the node {found}; of processes {least} to {most}")  # noqa: T201
    for pod in (USER, SYSTEM):
        assert 0.97 * least[pod] <= found[pod][0] <= 1.03 * most[pod]
    assert found[IDLE][0] < 10_000_000
    assert split_rightly(samples, 0.0)
    assert sum(least.values()) <= found[""][0]  # the node is read before its pods, at any distance
    assert {usage.pids for sample in samples for usage in sample.pods.values()} == {1}
    assert {sample.pods[IDLE].runnable for sample in samples} == {0}
    for pod in (USER, SYSTEM):  # a scan ends when it has found as many as the kernel counted
        assert median(sample.pods[pod].runnable or 0 for sample in samples) >= 1
    assert reader.faults == dict.fromkeys(USAGE_SOURCES, 0)


def test_a_pod_that_ends_is_left_out_and_its_files_are_closed(
    pods: tuple[str, dict[str, int]],
) -> None:
    cgroup_root, _ = pods
    reader = UsageReader(cpus={CPU}, clock=time.monotonic_ns, root=ROOT, cgroup_root=cgroup_root)
    assert reader.read({}, stat=None).pods.keys() == set(_PROGRAMS)
    before = open_files()
    with ExitStack() as stack:
        for hierarchy in (ACCOUNTING, PIDS):
            make(hierarchy / f"{cgroup_root[1:]}/kubepods/burstable/pod{uid(9)}", stack)
        assert uid(9) in reader.read({}, stat=None).pods
        assert open_files() == before + 3

    assert reader.read({}, stat=None).pods.keys() == set(_PROGRAMS)
    assert open_files() == before
    reader.close()
    assert reader.faults == dict.fromkeys(USAGE_SOURCES, 0)
