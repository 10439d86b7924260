"""Pods whose condition k40s.io/enforced is kept, on a fake kernel and API server."""

from dataclasses import replace

from daemons.rubicante.cluster.enforced_condition import EnforcedConditions
from daemons.rubicante.metrics import FeedbackMetrics
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import World, container_id, pod


class EnforcedScene:
    """A world with pod conditions; the API server reports each write at once."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.echo = True
        self.enforced = EnforcedConditions(
            book=self.world.book,
            pods=self.world.pods,
            enforcement=self.world.enforcer,
            writer=self.world.server,
            metrics=FeedbackMetrics(self.world.registry),
            clock=lambda: self.world.seconds,
        )

    def bind(self, number: int = 1) -> None:
        ids = {"main": container_id(number)}
        record = pod(number, node=NODE, container_ids=ids, phase="Running")
        before = self.world.server.pods.get(("default", f"pod-{number}"))
        record = replace(record, enforced=before.enforced if before else None)
        self.world.pods.upsert(self.world.server.add(record))

    def start(self, number: int = 1) -> int:
        cgroup = self.world.container(number, id_=number)
        return self.world.system.spawn(cgroup, "ctl")

    def end(self, tid: int) -> None:
        self.world.system.kill(tid)

    def look(self, seconds: float = 1.0) -> None:
        self.world.seconds += seconds
        self.world.look()
        self.enforced.look()
        if self.echo:
            for record in self.world.server.pods.values():
                if record.node == NODE:
                    self.world.pods.upsert(record)

    @property
    def written(self) -> list[tuple[str, bool, str]]:
        found = self.world.server.conditions
        return [(pod_uid, one.status, one.reason) for pod_uid, one, _ in found]

    @property
    def reasons(self) -> list[str]:
        return [reason for _, _, reason in self.written]
