"""Enforcement latency of pods that start all at once: pod's cgroup made → budget and policy.

    python -m bench.rubicante.burst [ROUNDS [PODS]] [--undisturbed]

Needs root and cgroup v1 with CONFIG_RT_GROUP_SCHED. The daemon runs in this process; the cgroups
are made, the processes moved and the policies watched by another, as kubelet and the container
runtime would. Uses the CPUs 0 and 1 and a third of the kernel's real-time bandwidth. What the
hypervisor steals is shown, for it is in the figures. So is the other load of the machine, unless
``--undisturbed`` gives both processes a real-time priority for the time of the measurement, which
the daemon does not have in operation.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from bench.rubicante.scene import LIMIT, Scene, Steal, quantile, until
from daemons.rubicante.kernel.threads import FIFO
from k40s.kube.list_watch import Change
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import ask, container_id, pod, task, uid
from tests.kernel.conftest import Hog
from tests.kernel.hog import CPU, OTHER

_ROUNDS = 10
_PODS = 30
_UNDISTURBED = "--undisturbed"


def main() -> None:
    if sys.argv[1:2] == ["kubelet"]:
        play_kubelet(sys.argv[2], [int(pid) for pid in sys.argv[3:]])
        return
    arguments = [argument for argument in sys.argv[1:] if argument != _UNDISTURBED]
    rounds, pods = (*map(int, arguments), *(_ROUNDS, _PODS)[len(arguments) :])
    if _UNDISTURBED in sys.argv:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    with ExitStack() as undo:
        burst = Burst(undo, pods)
        steal = Steal()
        lags = [lag for _ in range(rounds) for lag in burst.round()]
        stolen = steal.share()
    print(f"{rounds} rounds of {pods} pods at once; load average {os.getloadavg()[0]:.1f};")
    print(f"the hypervisor stole {stolen:.1%} of one CPU")
    print("pod's cgroup made -> thread in its budget group and FIFO, milliseconds:")
    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        print(f"{name:>8} {quantile(lags, share):8.2f}")


class Burst:
    """As many processes as there are pods, each of them a pod's in every round."""

    def __init__(self, undo: ExitStack, pods: int) -> None:
        self.scene = Scene(undo, "burst", cpus=(0, 1))
        self.numbers = range(1, pods + 1)
        self.hogs = [Hog("idle", "ctl", seconds=600) for _ in self.numbers]
        for hog in self.hogs:
            undo.callback(hog.end)
            os.sched_setscheduler(hog.pid, os.SCHED_OTHER, os.sched_param(0))

    def round(self) -> list[float]:
        """Start all pods and end them again; how long each took to be enforced, in seconds."""
        scene = self.scene
        for number in self.numbers:
            scene.server.add(pod(number))
            answer, _ = scene.daemon.reservations.reserve(
                ask(number, task(wcet_ms=2, period_ms=1000))
            )
            assert answer.schedulable, answer
            scene.pods.deliver(pod(number, node=NODE, phase="Running"))
        time.sleep(0.5)
        pids = [str(hog.pid) for hog in self.hogs]
        kubelet = subprocess.run(
            [sys.executable, "-m", "bench.rubicante.burst", "kubelet", str(scene.root), *pids],
            stdout=subprocess.PIPE,
            check=True,
            timeout=2 * LIMIT,
            cwd=Path(__file__).parents[2],
        )
        for number in self.numbers:
            scene.pods.deliver(pod(number, node=NODE), Change.DELETE)
        until(lambda: not scene.daemon.book.entries())
        for path in (CPU, OTHER):
            for pid in pids:
                (path / "cgroup.procs").write_text(pid)
        scene.clear()
        return [float(lag) for lag in json.loads(kubelet.stdout)]


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
    limit = time.monotonic() + LIMIT
    while len(ended) < len(pids) and time.monotonic() < limit:
        for pid in pids:
            if pid not in ended and os.sched_getscheduler(pid) == FIFO:
                ended[pid] = time.monotonic()
        time.sleep(0.0005)
    print(json.dumps([ended[pid] - began[pid] for pid in pids]))


if __name__ == "__main__":
    main()
