"""Latency of rubicante: reservation over its API, and cgroup appears → thread enforced.

    python -m bench.rubicante.enforce [ROUNDS]

Needs root and cgroup v1 with CONFIG_RT_GROUP_SCHED. The HTTP layer is called in process. Uses CPU
1 and a budget of less than a tenth.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from bench.rubicante.scene import Scene, Steal, quantile, until
from daemons.rubicante.kernel.threads import FIFO
from k40s.kube.list_watch import Change
from k40s.node_api.messages import format_reservation_request
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import ask, container_id, pod, uid
from tests.kernel.conftest import CPU, Hog

_ROUNDS = 50


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    with ExitStack() as undo:
        one = OnePod(undo)
        steal = Steal()
        figures = [one.round(number) for number in range(rounds)]
        stolen = steal.share()
    print(f"{rounds} rounds; load average {os.getloadavg()[0]:.1f};")
    print(f"the hypervisor stole {stolen:.1%} of one CPU")
    print(f"{'milliseconds':44} {'median':>8} {'p95':>8} {'max':>8}")
    names = (
        "PUT reservation, first (201)",
        "PUT reservation, repeated (200)",
        "process enters its cgroup -> thread enforced",
        "pod deleted -> bandwidth given back",
    )
    for name, column in zip(names, zip(*figures, strict=True), strict=True):
        print(f"{name:44}", *(f"{quantile(column, share):8.2f}" for share in (0.5, 0.95, 1.0)))


class OnePod:
    """One process, whose thread is enforced in every round."""

    def __init__(self, undo: ExitStack) -> None:
        self.scene = Scene(undo, "bench", cpus=(1,))
        self.client = self.scene.daemon.api().test_client()
        self.hog = Hog("fork", "ctl", seconds=600)
        undo.callback(self.hog.end)

    def round(self, number: int) -> tuple[float, float, float, float]:
        scene = self.scene
        scene.server.add(pod(number))
        body = format_reservation_request(ask(number))
        first = timed(lambda: self.put(number, body, 201))
        again = timed(lambda: self.put(number, body, 200))
        scene.pods.deliver(pod(number, node=NODE, phase="Running"))
        container = scene.parents[0] / f"pod{uid(number)}" / container_id(number)
        container.mkdir(parents=True)
        (container / "cgroup.procs").write_text(str(self.hog.pid))
        enforced = timed(lambda: until(lambda: os.sched_getscheduler(self.hog.pid) == FIFO))
        scene.pods.deliver(pod(number, node=NODE), Change.DELETE)
        given_back = timed(lambda: until(lambda: scene.daemon.book.find(uid(number)) is None))
        (CPU / "cgroup.procs").write_text(str(self.hog.pid))
        scene.clear()
        return first, again, enforced, given_back

    def put(self, number: int, body: bytes, expected: int) -> None:
        answer = self.client.put(f"/v1/reservations/{uid(number)}", data=body)
        assert answer.status_code == expected, answer.text


def timed(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
