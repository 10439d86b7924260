"""Explanations over the tables: the admission of the dry run, and trials of their own."""

from collections.abc import Sequence

from extender.assembly.adapters import Adapters
from extender.assembly.tables import Tables
from extender.explanation.bounds import BoundFigures
from extender.explanation.cpu import CpuFigures
from extender.explanation.explainer import Explainer
from extender.explanation.networks import NetworkFigures
from extender.explanation.remedies import Remedies
from extender.placement.network_admission import NetworkAdmission
from extender.placement.node_scores import NodeScores
from extender.placement.pod_admission import ConditionalCheck, PodAdmission
from extender.preemption.trial import Trials
from extender.settings import ExtenderSettings
from k40s.units import NS_PER_MS, Nanoseconds

EXPLANATION_TIMES = 2
"""Figures and trials of an explanation may take so many times as long as a call of filter."""
PAUSE = Nanoseconds(NS_PER_MS)
"""Between two of them, the process is left to the scheduler's calls for so long."""


def make_explainer(
    settings: ExtenderSettings,
    tables: Tables,
    adapters: Adapters,
    *,
    admission: PodAdmission,
    networks: NetworkAdmission,
    scores: NodeScores,
    checks: Sequence[ConditionalCheck],
    unclaimed: Sequence[ConditionalCheck],
) -> Explainer:
    """``admission``, ``networks`` and ``scores`` are not counted; ``checks`` are of trials alone.

    ``unclaimed`` are the same without that of claims.
    """

    def breathe() -> None:
        adapters.pause(PAUSE)

    def criticality_of(uid: str) -> str:
        pod = tables.bound_pods.find(uid)
        return "" if pod is None or pod.criticality is None else pod.criticality.name

    return Explainer(
        cache=tables.nodes,
        admission=admission,
        scores=scores,
        thresholds=settings.thresholds,
        cpu=CpuFigures(tests=adapters.tests, pods=tables.bound_pods),
        networks=NetworkFigures(
            admission=networks, networks=tables.networks, criticality_of=criticality_of
        ),
        bounds=BoundFigures(
            tenants=tables.tenants,
            claims=tables.claims,
            pods=tables.pods,
            classes=settings.classes,
            wall=adapters.wall,
        ),
        remedies=Remedies(
            trials=_trials(settings, tables, adapters, checks),
            unclaimed=_trials(settings, tables, adapters, unclaimed),
            pods=tables.bound_pods,
            tests=adapters.tests,
            classes=settings.classes,
            breathe=breathe,
        ),
        breathe=breathe,
        clock=adapters.clock,
        patience=patience_of(settings),
    )


def patience_of(settings: ExtenderSettings) -> Nanoseconds:
    """How long the figures and trials of an explanation may take."""
    return Nanoseconds(EXPLANATION_TIMES * settings.filter_patience)


def _trials(
    settings: ExtenderSettings,
    tables: Tables,
    adapters: Adapters,
    checks: Sequence[ConditionalCheck],
) -> Trials:
    return Trials(
        tests=adapters.tests,
        networks=tables.networks,
        places=tables.places,
        checks=checks,
        clock=adapters.clock,
        patience=settings.filter_patience,
    )
