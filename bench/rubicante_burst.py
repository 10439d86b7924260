"""How long until pods that start all at once are enforced: pod's cgroup made → budget and policy.

    python -m bench.rubicante_burst [ROUNDS [PODS]] [--undisturbed]

Needs root and cgroup v1 with CONFIG_RT_GROUP_SCHED. The daemon runs in this process; the cgroups
are made, the processes moved and the policies watched by another, as kubelet and the container
runtime would. The API server is in memory. Uses the CPUs 0 and 1 and a third of the kernel's
real-time bandwidth; everything made is removed. What the hypervisor steals is shown, for it is in
the figures. So is the other load of the machine, unless ``--undisturbed`` gives both processes a
real-time priority for the time of the measurement, which the daemon does not have in operation.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.settings import Settings
from k40s.cpu.model import Packing
from k40s.runtime.store import Store
from k40s.runtime.watching import Change
from k40s.units import Nanoseconds
from tests.fakes.rubicante_api_server import NODE, FakeApiServer, FakePodSource
from tests.fakes.rubicante_world import ask, container_id, pod, task, uid
from tests.kernel.conftest import Hog
from tests.kernel.hog import CPU, OTHER

_ROUNDS = 10
_PODS = 30
_LIMIT = 20.0
_UNDISTURBED = "--undisturbed"


def main() -> None:
    if sys.argv[1:2] == ["kubelet"]:
        play_kubelet(sys.argv[2], [int(pid) for pid in sys.argv[3:]])
        return
    arguments = [argument for argument in sys.argv[1:] if argument != _UNDISTURBED]
    rounds, pods = (*map(int, arguments), *(_ROUNDS, _PODS)[len(arguments) :])
    if _UNDISTURBED in sys.argv:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    logging.disable(logging.WARNING)
    with ExitStack() as undo:
        scene = Scene(undo, pods)
        steal, began = _steal(), time.monotonic()
        found = [scene.round() for _ in range(rounds)]
        stolen = (_steal() - steal) / (time.monotonic() - began)
    lags = sorted(lag for lags in found for lag in lags)
    print(f"{rounds} rounds of {pods} pods at once; load average {os.getloadavg()[0]:.1f};")
    print(f"the hypervisor stole {stolen:.1%} of one CPU")
    print("pod's cgroup made -> thread in its budget group and FIFO, milliseconds:")
    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        print(f"{name:>8} {1000 * lags[min(len(lags) - 1, int(len(lags) * share))]:8.2f}")


class Scene:
    """One rubicante, and as many processes as there are pods."""

    def __init__(self, undo: ExitStack, pods: int) -> None:
        name = f"k40s-burst-{os.getpid()}"
        self.numbers = range(1, pods + 1)
        self.root = CPU / f"{name}-node"
        undo.callback(self.remove)
        undo.callback(self.remove_groups, name)
        for hierarchy in (CPU, OTHER):
            (hierarchy / self.root.name / "kubepods").mkdir(parents=True)
        directory = undo.enter_context(tempfile.TemporaryDirectory())
        settings = Settings(
            node_name=NODE,
            pod_ip="127.0.0.1",
            cpus=(0, 1),
            cgroup_root="/" + self.root.name,
            rt_capacity=Fraction(2, 5),
            group_prefix=name,
            packing=Packing.WORST_FIT,
            tick=Nanoseconds(0),
            store=Path(directory) / "book.sqlite",
        )
        store = Store(settings.store)
        undo.callback(store.close)
        self.server = FakeApiServer()
        self.pods = FakePodSource(self.server)
        self.daemon = Daemon(
            settings, system=LinuxSystem(), gateway=self.server, pods=self.pods, store=store
        )
        undo.callback(self.daemon.halt)
        undo.callback(self.pods.stop)
        self.daemon.start()
        until(lambda: self.daemon.reservations.is_open)
        self.hogs = [Hog("idle", "ctl", seconds=600) for _ in self.numbers]
        for hog in self.hogs:
            undo.callback(hog.end)
            os.sched_setscheduler(hog.pid, os.SCHED_OTHER, os.sched_param(0))

    def round(self) -> list[float]:
        for number in self.numbers:
            self.server.add(pod(number))
            answer, _ = self.daemon.reservations.reserve(
                ask(number, task(wcet_ms=2, period_ms=1000))
            )
            assert answer.schedulable, answer
            self.pods.tell(pod(number, node=NODE, phase="Running"))
        time.sleep(0.5)
        pids = [str(hog.pid) for hog in self.hogs]
        kubelet = subprocess.run(
            [sys.executable, "-m", "bench.rubicante_burst", "kubelet", str(self.root), *pids],
            stdout=subprocess.PIPE,
            check=True,
            timeout=2 * _LIMIT,
            cwd=Path(__file__).parents[1],
        )
        for number in self.numbers:
            self.pods.tell(pod(number, node=NODE), Change.DELETE)
        until(lambda: not self.daemon.book.entries())
        for path in (CPU, OTHER):
            for pid in pids:
                (path / "cgroup.procs").write_text(pid)
        self.clear()
        return [float(lag) for lag in json.loads(kubelet.stdout)]

    def clear(self) -> None:
        """Remove the pods' cgroups."""
        for hierarchy in (CPU, OTHER):
            for path, _, _ in os.walk(hierarchy / self.root.name / "kubepods", topdown=False):
                if not path.endswith("kubepods"):
                    until(lambda p=path: _removed(Path(p)))

    def remove_groups(self, prefix: str) -> None:
        """What an end by an error left."""
        groups = BudgetGroups(system=LinuxSystem(), root=CPU, prefix=prefix, wait=time.sleep)
        for group in (*groups.names(), *groups.numbers()):
            for tid in groups.members(group):
                os.sched_setscheduler(tid, os.SCHED_OTHER, os.sched_param(0))
                groups.put_back(tid, CPU)
            groups.remove(group)

    def remove(self) -> None:
        self.clear()
        for hierarchy in (CPU, OTHER):
            for path in (hierarchy / self.root.name / "kubepods", hierarchy / self.root.name):
                if path.exists():
                    path.rmdir()


def play_kubelet(root: str, pids: list[int]) -> None:
    """Make the cgroups of all pods, move their processes in, and see when each is enforced."""
    began: dict[int, float] = {}
    for number, pid in enumerate(pids, start=1):
        inner = Path("kubepods", f"pod{uid(number)}", container_id(number))
        began[pid] = time.monotonic()
        for path in (OTHER / Path(root).name / inner, Path(root) / inner):
            path.mkdir(parents=True)
            (path / "cgroup.procs").write_text(str(pid))
    ended: dict[int, float] = {}
    limit = time.monotonic() + _LIMIT
    while len(ended) < len(pids) and time.monotonic() < limit:
        for pid in pids:
            if pid not in ended and os.sched_getscheduler(pid) == FIFO:
                ended[pid] = time.monotonic()
        time.sleep(0.0005)
    print(json.dumps([ended[pid] - began[pid] for pid in pids]))


def until(condition) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # a short script
    limit = time.monotonic() + _LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.001)


def _removed(path: Path) -> bool:
    with suppress(OSError):
        path.rmdir()
    return not path.exists()


def _steal() -> float:
    first = Path("/proc/stat").read_text().splitlines()[0]
    return int(first.split()[8]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
