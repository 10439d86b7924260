"""A rubicante that is killed: ``crash.py SETTINGS...`` reserves, enforces, says so, and goes on.

Arguments: cgroup root, group prefix, store, number of the pod.
"""

import sys
import time
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.settings import Settings
from k40s.runtime.store import Store
from tests.fakes.rubicante.api_server import NODE, FakeApiServer, FakePodSource
from tests.fakes.rubicante.world import ask, pod, uid

_SECONDS = 300


def main() -> None:
    cgroup_root, prefix, store, number = sys.argv[1:]
    settings = Settings(
        node_name=NODE,
        pod_ip="127.0.0.1",
        cpus=(1,),
        cgroup_root=cgroup_root,
        rt_capacity=Fraction(2, 5),
        hi_reserve="none",
        group_prefix=prefix,
        store=Path(store),
    )
    server = FakeApiServer()
    server.add(pod(int(number)))
    pods = FakePodSource(server)
    daemon = Daemon(
        settings, system=LinuxSystem(), gateway=server, pods=pods, store=Store(settings.store)
    )
    daemon.start()
    end = time.monotonic() + _SECONDS
    while not daemon.reservations.is_open and time.monotonic() < end:
        time.sleep(0.01)
    daemon.reservations.reserve(ask(int(number)))
    pods.deliver(pod(int(number), node=NODE, phase="Running"))
    while not daemon.enforcer.threads(uid(int(number))) and time.monotonic() < end:
        time.sleep(0.01)
    print("enforced", flush=True)
    spare = 100
    while time.monotonic() < end:  # the book is being written at whatever moment the kill comes
        server.add(pod(spare))
        daemon.reservations.reserve(ask(spare))
        daemon.reservations.release(uid(spare))
        spare += 1


if __name__ == "__main__":
    main()
