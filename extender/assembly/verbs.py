"""The verbs over the tables: one admission for all of them, counted where it answers the scheduler.

A check of filter is listed in ``_checks``, with what it is needed for.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import Counter

from extender.assembly.adapters import Adapters
from extender.assembly.binding import make_binder
from extender.assembly.explanation import PAUSE, make_explainer, patience_of
from extender.assembly.tables import Tables
from extender.cache.catch_up import CatchUp
from extender.cache.refused_pods import RefusedPods
from extender.cache.workloads import WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.placement.admission_cache import AdmissionCache, GuestAdmissions
from extender.placement.exchanges import Exchanges
from extender.placement.isolation import Isolation
from extender.placement.network_admission import NetworkAdmission
from extender.placement.node_scores import NodeScores
from extender.placement.pod_admission import (
    Check,
    ConditionalCheck,
    PodAdmission,
    RealTimeAdmission,
)
from extender.placement.tenants import ClaimedBounds, TenantCheck
from extender.preemption.groups import GroupMembers
from extender.preemption.held_room import HeldRoom
from extender.preemption.plan import LONGEST_WAIT, Preemption
from extender.preemption.trial import Trials
from extender.protocol import parse_extender_args, parse_repeated_args
from extender.settings import ExtenderSettings
from extender.verbs.bind import Bind
from extender.verbs.dry_run import DryRun
from extender.verbs.explain import Explain
from extender.verbs.filter import Filter
from extender.verbs.preempt import Preempt
from extender.verbs.preemption_plan import PreemptionPlan
from extender.verbs.prioritize import Prioritize
from extender.verbs.verb import Verbs
from k40s.units import Nanoseconds

_GUESTS = 16
"""Workloads of explanations that are kept beside those of the scheduler's pods."""


class _Counters(NamedTuple):
    """Of verdicts on CPU and on networks, and of searches for exchanges; None counts nothing."""

    cpu: Mapping[str, Counter] | None = None
    networks: Mapping[str, Counter] | None = None
    exchanges: Mapping[bool, Counter] | None = None


_UNCOUNTED = _Counters()


class _Admission(NamedTuple):
    """The whole admission, and the two parts of it that scores read as well."""

    whole: PodAdmission
    real_time: RealTimeAdmission
    networks: NetworkAdmission


def make_verbs(
    settings: ExtenderSettings,
    tables: Tables,
    adapters: Adapters,
    metrics: ExtenderMetrics,
    *,
    further: Sequence[Check] = (),
) -> Verbs:
    """All verbs. ``further`` checks come before those of k40s."""
    isolation = (
        Isolation(classes=settings.classes, runtimes=tables.runtimes) if settings.classes else None
    )
    held_room = HeldRoom(claims=tables.claims, tests=adapters.tests)
    others = tuple(ConditionalCheck(one, (one,)) for one in further)
    checks = (*others, *_checks(settings, tables, held_room, isolation))
    counted = _make_admission(
        settings,
        tables,
        adapters,
        checks,
        _Counters(metrics.verdicts, metrics.network_verdicts, metrics.exchanges),
    )
    uncounted = _make_admission(
        settings, tables, adapters, checks, give_way=lambda: adapters.calls.wait(LONGEST_WAIT)
    )
    scores = NodeScores(
        admission=counted.real_time, networks=counted.networks, tables=adapters.admissions
    )
    refused = RefusedPods()
    guest = GuestAdmissions(
        adapters.admissions, AdmissionCache(tests=adapters.tests, workloads=_GUESTS)
    )
    asked = _make_admission(
        settings,
        tables,
        adapters,
        checks,
        guest=guest,
        give_way=lambda: adapters.pause(PAUSE),
    )
    untraced = HeldRoom(claims=tables.claims, tests=adapters.tests)
    explainer = make_explainer(
        settings,
        tables,
        adapters,
        admission=asked.whole,
        networks=asked.networks,
        scores=NodeScores(admission=asked.real_time, networks=asked.networks, tables=guest),
        checks=(*others, *_checks(settings, tables, untraced, isolation)),
        unclaimed=(*others, *_checks(settings, tables, None, isolation)),
    )
    preemption = _make_preemption(settings, tables, adapters, uncounted.whole, checks)
    parse = parse_repeated_args()
    return Verbs(
        filter=Filter(
            parse=parse,
            cache=tables.nodes,
            workloads=tables.workloads,
            admission=counted.whole,
            catch_up=CatchUp(
                cache=tables.nodes, clock=adapters.clock, timeout=settings.settling_time
            ),
            refused=refused,
            groups=GroupMembers(claims=tables.claims, scores=scores),
            metrics=metrics,
        ),
        prioritize=Prioritize(
            parse=parse, cache=tables.nodes, workloads=tables.workloads, scores=scores
        ),
        bind=Bind(
            binder=make_binder(
                settings,
                tables,
                adapters,
                metrics,
                networks=counted.networks,
                held_room=held_room,
                isolation=isolation,
            ),
            metrics=metrics,
        ),
        dry_run=DryRun(
            parse=parse_extender_args,
            cache=tables.nodes,
            workloads=tables.workloads,
            admission=uncounted.whole,
        ),
        preempt=Preempt(
            preemption=preemption, workloads=tables.workloads, refused=refused, metrics=metrics
        ),
        preemption_plan=PreemptionPlan(
            preemption=preemption,
            refused=refused,
            pods=tables.bound_pods,
            watched=tables.pods,
            metrics=metrics,
        ),
        explain=Explain(
            parse=parse_extender_args,
            workloads=WorkloadCache(texts=_GUESTS),
            explainer=explainer,
            patience=patience_of(settings),
        ),
    )


def _checks(
    settings: ExtenderSettings,
    tables: Tables,
    held_room: HeldRoom | None,
    isolation: Isolation | None,
) -> tuple[ConditionalCheck, ...]:
    """Tenants answer for all nodes alike, so they come last. None passes over claims."""
    return (
        *(() if isolation is None else (ConditionalCheck(isolation, settings.classes),)),
        *(() if held_room is None else (ConditionalCheck(held_room, tables.claims.by_node),)),
        ConditionalCheck(TenantCheck(tables.tenants), tables.tenants.names),
    )


def _make_admission(
    settings: ExtenderSettings,
    tables: Tables,
    adapters: Adapters,
    checks: Sequence[ConditionalCheck],
    counters: _Counters = _UNCOUNTED,
    *,
    guest: GuestAdmissions | None = None,
    give_way: Callable[[], object] = lambda: None,
) -> _Admission:
    """``give_way`` is called before each search for an exchange."""
    real_time = RealTimeAdmission(
        admissions=guest or adapters.admissions,
        queries=adapters.queries,
        counters=counters.cpu,
        clock=adapters.clock,
        patience=settings.filter_patience,
    )
    networks = NetworkAdmission(
        networks=tables.networks,
        places=tables.places,
        counters=counters.networks,
        clock=adapters.clock,
        patience=settings.filter_patience,
    )
    exchanges = Exchanges(
        tables=guest or adapters.admissions,
        counters=counters.exchanges,
        clock=adapters.clock,
        patience=Nanoseconds(settings.filter_patience // 2),
        give_way=give_way,
    )
    whole = PodAdmission(real_time=real_time, networks=networks, checks=checks, exchanges=exchanges)
    return _Admission(whole, real_time, networks)


def _make_preemption(
    settings: ExtenderSettings,
    tables: Tables,
    adapters: Adapters,
    admission: PodAdmission,
    checks: Sequence[ConditionalCheck],
) -> Preemption:
    claimed = ClaimedBounds(tables.tenants, tables.claims)
    return Preemption(
        cache=tables.nodes,
        pods=tables.bound_pods,
        admission=admission,
        states=adapters.states,
        calls=adapters.calls,
        trials=Trials(
            tests=adapters.tests,
            networks=tables.networks,
            places=tables.places,
            checks=(*checks, ConditionalCheck(claimed, tables.tenants.names)),
            clock=adapters.clock,
            patience=settings.filter_patience,
        ),
        clock=adapters.clock,
        patience=settings.filter_patience,
    )
