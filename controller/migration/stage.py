"""Migration assembled."""

from controller.events import ControllerEvents
from controller.extender_client import Filter
from controller.leadership import Leadership
from controller.metrics import ControllerMetrics
from controller.migration.begin import Beginner
from controller.migration.destination import DestinationFinder
from controller.migration.migrator import Migrator
from controller.migration.ports import Control, WatchedCluster
from controller.migration.releases import Releases
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.kube.writing.evictions import Evictor
from k40s.units import Clock, Nanoseconds


def make_migration(
    *,
    cluster: WatchedCluster,
    source: Filter,
    control: Control,
    evictor: Evictor,
    leadership: Leadership,
    events: ControllerEvents,
    metrics: ControllerMetrics,
    policy: MigrationPolicy,
    retry: Nanoseconds,
    dry_run: bool,
    now: Clock,
) -> Migrator:
    """``now`` is the wall clock, in nanoseconds since 1970."""
    return Migrator(
        cluster=cluster,
        leadership=leadership,
        releases=Releases(
            control=control,
            evictor=evictor,
            events=events,
            metrics=metrics,
            policy=policy,
            retry=retry,
            now=now,
        ),
        beginner=Beginner(
            control=control,
            evictor=evictor,
            finder=DestinationFinder(extender=source, metrics=metrics),
            leadership=leadership,
            events=events,
            metrics=metrics,
            policy=policy,
            dry_run=dry_run,
        ),
        events=events,
        metrics=metrics,
        policy=policy,
        retry=retry,
        dry_run=dry_run,
        now=now,
    )
