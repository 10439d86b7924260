"""Preemption assembled."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry

from controller.events import ControllerEvents
from controller.extender_client import PlanSource
from controller.leadership import Leadership
from controller.metrics import ControllerMetrics, PreemptionMetrics
from controller.preemption.begin import Beginner
from controller.preemption.claims import Claims
from controller.preemption.evict import VictimEvictor
from controller.preemption.looks import PreemptionLooks
from controller.preemption.past import past_of
from controller.preemption.planner import Planner
from controller.preemption.ports import Control, WatchedPods
from controller.preemption.reports import Reports
from controller.preemption_rules.policy import PreemptionPolicy
from k40s.kube.writing.evictions import Evictor
from k40s.units import Clock


def make_preemption(
    *,
    pods: WatchedPods,
    source: PlanSource,
    control: Control,
    evictor: Evictor,
    leadership: Leadership,
    events: ControllerEvents,
    metrics: ControllerMetrics,
    registry: CollectorRegistry,
    policy: PreemptionPolicy,
    system: Collection[str],
    scheduler: str,
    enabled: bool,
    dry_run: bool,
    now: Clock,
) -> PreemptionLooks:
    """``now`` is the wall clock, in nanoseconds since 1970; ``system`` namespaces lose no pod."""
    own = PreemptionMetrics(registry)
    planner = Planner(source=source, control=control, evictor=evictor, metrics=own, system=system)
    reports = Reports(events=events, metrics=own, controller=metrics)
    past = past_of(leadership)
    claims = Claims(
        control=control,
        planner=planner,
        evictor=VictimEvictor(
            evictor=evictor, planner=planner, reports=reports, metrics=own, now=now
        ),
        past=past,
        reports=reports,
        metrics=own,
        policy=policy,
        enabled=enabled,
        now=now,
    )
    beginner = Beginner(
        control=control, planner=planner, events=events, policy=policy, dry_run=dry_run, now=now
    )
    return PreemptionLooks(
        pods=pods,
        leadership=leadership,
        claims=claims,
        beginner=beginner,
        past=past,
        metrics=own,
        policy=policy,
        scheduler=scheduler,
        enabled=enabled,
        dry_run=dry_run,
        now=now,
    )
