"""A whole rubicante on a fake kernel, whose loops the test turns by hand."""

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.settings import Settings
from k40s.annotations import (
    CPU_STATE_KEY,
)
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.api_server import NODE, FakeApiServer, FakePodSource, FakeStore
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel

SETTINGS = Settings(
    node_name=NODE,
    pod_ip="10.0.0.1",
    cpus=(1,),
    cgroup_root="/k8s",
    cpu_cgroup_path=CPU,
    proc_path=PROC,
    group_prefix="rt",
    tick=Nanoseconds(4 * NS_PER_MS),
)


class Scene:
    """A daemon whose loops the test turns by hand."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.kernel = FakeKernel()
        self.server = FakeApiServer()
        self.store = FakeStore()
        self.pods = FakePodSource(self.server)
        self.seconds = 0.0
        self.daemon = self.make(settings)

    def make(self, settings: Settings = SETTINGS) -> Daemon:
        return Daemon(
            settings,
            system=self.kernel,
            gateway=self.server,
            pods=self.pods,
            store=self.store,
            clock=lambda: self.seconds,
        )

    def open(self, daemon: Daemon | None = None) -> None:
        made = daemon or self.daemon
        made.publication.beat()
        made.pods.replace(self.pods.list().records)
        made.informer.synchronized.set()
        made.upkeep.tick()
        made.publication.publish()
        made.publication.beat()


def published(scene: Scene) -> str:
    assert scene.server.node is not None
    return scene.server.node.annotations[CPU_STATE_KEY]
