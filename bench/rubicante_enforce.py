"""How fast rubicante is: reservation over its API, and cgroup appears → thread enforced.

    python bench/rubicante_enforce.py [ROUNDS]

Needs root and cgroup v1 with CONFIG_RT_GROUP_SCHED. The kernel, the store and the cgroup tree are
real, the API server is in memory, the HTTP layer is called in process. Uses CPU 1 and a budget of
less than a tenth; everything made is removed.
"""

import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.settings import Settings
from k40s.node_api import format_reservation_request
from k40s.runtime.store import Store
from k40s.runtime.watching import Change
from tests.fakes.rubicante_api_server import NODE, FakeApiServer, FakePodSource
from tests.fakes.rubicante_world import ask, container_id, pod, uid
from tests.kernel.conftest import CPU, Hog

_ROUNDS = 50
_LIMIT = 20.0


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    logging.disable(logging.WARNING)
    with ExitStack() as undo:
        scene = Scene(undo)
        steal = _steal()
        began = time.monotonic()
        figures = [scene.round(number) for number in range(rounds)]
        taken = (_steal() - steal) / (time.monotonic() - began)
    print(f"{rounds} rounds; the hypervisor stole {taken:.1%} of one CPU meanwhile")
    print(f"{'milliseconds':44} {'median':>8} {'p95':>8} {'max':>8}")
    names = (
        "PUT reservation, first (201)",
        "PUT reservation, repeated (200)",
        "process enters its cgroup -> thread enforced",
        "pod deleted -> bandwidth given back",
    )
    for name, column in zip(names, zip(*figures, strict=True), strict=True):
        show(name, column)


def show(name: str, seconds: Sequence[float]) -> None:
    ordered = sorted(1000 * value for value in seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    print(f"{name:44} {statistics.median(ordered):8.2f} {p95:8.2f} {ordered[-1]:8.2f}")


class Scene:
    """One rubicante and one process, whose thread is enforced in every round."""

    def __init__(self, undo: ExitStack) -> None:
        name = f"k40s-bench-{os.getpid()}"
        self.root = CPU / f"{name}-node"
        self.parent = self.root / "kubepods"
        self.parent.mkdir(parents=True)
        undo.callback(self.remove)
        directory = undo.enter_context(tempfile.TemporaryDirectory())
        settings = Settings(
            node_name=NODE,
            pod_ip="127.0.0.1",
            cpus=(1,),
            cgroup_root="/" + self.root.name,
            rt_capacity=Fraction(2, 5),
            group_prefix=name,
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
        self.client = self.daemon.api().test_client()
        self.hog = Hog("fork", "ctl", seconds=600)
        undo.callback(self.hog.end)

    def round(self, number: int) -> tuple[float, float, float, float]:
        self.server.add(pod(number))
        body = format_reservation_request(ask(number))
        first = timed(lambda: self.put(number, body, 201))
        again = timed(lambda: self.put(number, body, 200))
        self.pods.tell(pod(number, node=NODE, phase="Running"))
        container = self.parent / f"pod{uid(number)}" / container_id(number)
        container.mkdir(parents=True)
        (container / "cgroup.procs").write_text(str(self.hog.pid))
        enforced = timed(lambda: until(lambda: os.sched_getscheduler(self.hog.pid) == FIFO))
        self.pods.tell(pod(number, node=NODE), Change.DELETE)
        given_back = timed(lambda: until(lambda: self.daemon.book.find(uid(number)) is None))
        (CPU / "cgroup.procs").write_text(str(self.hog.pid))
        container.rmdir()
        container.parent.rmdir()
        return first, again, enforced, given_back

    def put(self, number: int, body: bytes, expected: int) -> None:
        answer = self.client.put(f"/v1/reservations/{uid(number)}", data=body)
        assert answer.status_code == expected, answer.text

    def remove(self) -> None:
        for path, _, _ in os.walk(self.root, topdown=False):
            Path(path).rmdir()


def timed(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + _LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.0002)


def _steal() -> float:
    first = Path("/proc/stat").read_text().splitlines()[0]
    return int(first.split()[8]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
