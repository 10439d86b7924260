"""The controller's real parts around the cluster in memory: one process, and the next one."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from controller.events import ControllerEvents
from controller.metrics import ControllerMetrics
from controller.migration.begin import Beginner
from controller.migration.destination import DestinationFinder
from controller.migration.migrator import Migrator
from controller.migration.releases import Releases
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.controller.cluster import CrashError, FakeCluster

RETRY = Nanoseconds(15 * NS_PER_S)


@dataclass
class Process:
    """One controller process; nothing of it outlives it."""

    cluster: FakeCluster
    policy: MigrationPolicy = field(default_factory=MigrationPolicy)
    dry_run: bool = False

    def __post_init__(self) -> None:
        cluster = self.cluster
        self.registry = CollectorRegistry()
        self.metrics = ControllerMetrics(self.registry)
        self.events = ControllerEvents(
            writer=cluster,
            metrics=self.metrics,
            backoff=Backoff(pause=Nanoseconds(0), clock=cluster.clock),
            clock=cluster.clock,
        )
        self.migrator = Migrator(
            cluster=cluster,
            leadership=cluster,
            releases=Releases(
                control=cluster,
                evictor=cluster,
                events=self.events,
                metrics=self.metrics,
                policy=self.policy,
                retry=RETRY,
                now=cluster.clock,
            ),
            beginner=Beginner(
                control=cluster,
                evictor=cluster,
                finder=DestinationFinder(extender=cluster, metrics=self.metrics),
                leadership=cluster,
                events=self.events,
                metrics=self.metrics,
                policy=self.policy,
                dry_run=self.dry_run,
            ),
            events=self.events,
            metrics=self.metrics,
            policy=self.policy,
            retry=RETRY,
            dry_run=self.dry_run,
            now=cluster.clock,
        )

    def run(self, seconds: int, *, step: float = 1.0) -> None:
        """Look once a step, and let the cluster act after each look."""
        for _ in range(int(seconds / step)):
            self.migrator.tick()
            self.events.send()
            self.cluster.pass_time(step)

    def crashes(self, seconds: int) -> bool:
        """Run for so long, or until a crash."""
        try:
            self.run(seconds)
        except CrashError:
            return True
        return False

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"k40s_controller_{name}", labels) or 0.0
