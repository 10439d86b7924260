"""What happens to pods on their way: refused, bound, enforced, moved, preempted.

Metrics name no pod: their labels are closed sets. The story of one pod is in its events.
"""

from typing import Final

from monitoring.model import Board, Kind, Panel, Query, Section, Unit


def _lines(title: str, unit: Unit, description: str, *queries: Query) -> Panel:
    return Panel(title=title, kind=Kind.LINES, unit=unit, description=description, queries=queries)


def _ranking(title: str, description: str, metric: str, label: str, *, width: int = 12) -> Panel:
    """The ten greatest increases in the range of time that is shown."""
    expr = f"topk(10, sum by ({label}) (increase({metric}{{@ns}}[$__range])))"
    return Panel(
        title=title,
        kind=Kind.BARS,
        unit=Unit.COUNT,
        description=description,
        queries=(Query(expr=expr, legend=f"{{{{{label}}}}}"),),
        width=width,
    )


def _rate(metric: str, label: str) -> Query:
    return Query(
        expr=f"sum by ({label}) (rate({metric}{{@ns}}[$__rate_interval]))",
        legend=f"{{{{{label}}}}}",
    )


def _greatest(metric: str, label: str) -> Query:
    """Of a gauge that each replica of a process shows."""
    return Query(expr=f"max by ({label}) ({metric}{{@ns}})", legend=f"{{{{{label}}}}}")


_PLACEMENT: Final = Section(
    title="Placement",
    panels=(
        _ranking(
            "Nodes refused to pods, by reason",
            "In the time shown; docs/reasons.md says what each reason means and what to check.",
            "k40s_extender_refusals_total",
            "reason",
        ),
        _ranking(
            "Binds refused, by reason",
            "In the time shown: the node was chosen, and its daemon or the API server refused.",
            "k40s_extender_bind_refusals_total",
            "reason",
        ),
        _lines(
            "Binds",
            Unit.PER_SECOND,
            "Pods bound by k40s, by how it ended.",
            _rate("k40s_extender_binds_total", "outcome"),
        ),
        _lines(
            "Nodes evaluated for real-time pods",
            Unit.PER_SECOND,
            "By where the verdict came from (docs/metrics.md).",
            _rate("k40s_extender_judged_nodes_total", "how"),
        ),
        _lines(
            "Pods past k40s",
            Unit.COUNT,
            "Bound pods that k40s would not have placed so, by what is wrong.",
            _greatest("k40s_extender_misplaced_pods", "cause"),
        ),
    ),
)

_ENFORCEMENT: Final = Section(
    title="Enforcement",
    panels=(
        _lines(
            "From cgroup to enforced, mean",
            Unit.SECONDS,
            "Time from detection of a pod's cgroup until all its tasks are enforced.",
            Query(
                expr="sum(rate(k40s_rubicante_enforcement_lag_seconds_sum{@node}"
                "[$__rate_interval])) / (sum(rate(k40s_rubicante_enforcement_lag_seconds_count"
                "{@node}[$__rate_interval])) > 0)",
                legend="all nodes",
            ),
        ),
        _lines(
            "Reservations given and refused",
            Unit.PER_SECOND,
            "By the nodes' daemons.",
            Query(
                expr="sum(rate(k40s_rubicante_reservations_total{@node}[$__rate_interval]))",
                legend="given",
            ),
            Query(
                expr="sum(rate(k40s_rubicante_refusals_total{@node}[$__rate_interval]))",
                legend="refused",
            ),
        ),
        _lines(
            "Overruns by criticality",
            Unit.PER_SECOND,
            "Times that a task used more CPU time than its contract allows.",
            Query(
                expr="sum by (criticality) (rate(k40s_rubicante_overruns_total{@node}"
                "[$__rate_interval]))",
                legend="{{criticality}}",
            ),
        ),
        _lines(
            "Not enforced, by why",
            Unit.COUNT,
            "Reservations whose enforcement has a fault; the event on the pod says more.",
            Query(expr="sum by (trouble) (k40s_rubicante_conditions{@node})", legend="{{trouble}}"),
        ),
        _lines(
            "Pods without their reservation",
            Unit.COUNT,
            "Pods bound with an allocation that hold no reservation, by node.",
            Query(expr="k40s_rubicante_unreserved_pods{@node}", legend="{{node}}"),
        ),
        _lines(
            "Pods that report harm",
            Unit.COUNT,
            "LOW and HI pods whose own metric is outside its bound, by node.",
            Query(expr="k40s_malacoda_pods_reporting_harm{@node}", legend="{{node}}"),
        ),
    ),
)

_MOVES: Final = Section(
    title="Migration, preemption and eviction",
    panels=(
        _lines(
            "Endangered pods that stay, by obstacle",
            Unit.COUNT,
            "LOW and HI pods on a node whose level is too low, and what keeps them there.",
            _greatest("k40s_controller_held_pods", "obstacle"),
        ),
        _lines(
            "Moves",
            Unit.PER_SECOND,
            "Moves that began, by method, and surges that ended.",
            _rate("k40s_controller_moves_total", "method"),
            _rate("k40s_controller_move_ends_total", "outcome"),
        ),
        _lines(
            "Waiting pods that preempt nobody, by obstacle",
            Unit.COUNT,
            "Unschedulable LOW and HI pods; docs/metrics.md explains each obstacle.",
            _greatest("k40s_controller_preemption_waiting_pods", "obstacle"),
        ),
        _lines(
            "Claims",
            Unit.COUNT,
            "Pods for which room is claimed while others make place.",
            Query(expr="max(k40s_controller_preemption_claims{@ns})", legend="claims"),
        ),
        _ranking(
            "Preemptions, by how they ended",
            "In the time shown; lost and expired: others went, and the pod got no place.",
            "k40s_controller_preemption_ends_total",
            "outcome",
            width=8,
        ),
        _lines(
            "Culprits that stay, by obstacle",
            Unit.COUNT,
            "Pods whose eviction a node's monitor asks for, and what keeps them.",
            _greatest("k40s_controller_held_culprits", "obstacle"),
        ),
        _ranking(
            "Reservations given back, by cause",
            "Of networks, in the time shown: of pods that are gone, ended, elsewhere or unbound.",
            "k40s_controller_reservations_collected_total",
            "cause",
            width=8,
        ),
        _lines(
            "Owners whose keys reach no pod",
            Unit.COUNT,
            "Deployments, Jobs and the like with k40s's keys outside of their pod template.",
            Query(expr="max(k40s_extender_unreached_keys{@ns})", legend="owners"),
        ),
    ),
)

PODS: Final = Board(
    uid="k40s-pods",
    title="k40s / Pods",
    description="What happens to pods: refused, bound, enforced, moved, preempted. "
    "Metrics name no pod; kubectl describe pod tells the story of one.",
    sections=(_PLACEMENT, _ENFORCEMENT, _MOVES),
)
