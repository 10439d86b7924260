"""The fleet: whether k40s works, and how much room its nodes have."""

from typing import Final

from monitoring.boards.insight import INSIGHT
from monitoring.model import Board, Kind, Panel, Query, Section, Unit

_HEALTH: Final = Section(
    title="Is all well?",
    panels=(
        Panel(
            title="Alerts firing",
            kind=Kind.STAT,
            unit=Unit.COUNT,
            description="k40s's own alerts that fire now; docs/runbooks.md has each.",
            queries=(
                Query(
                    expr='count(ALERTS{alertname=~"K40s.+",alertstate="firing"}) or vector(0)',
                    legend="alerts",
                ),
            ),
            width=3,
            bad_above=1,
        ),
        Panel(
            title="Nodes",
            kind=Kind.STAT,
            unit=Unit.COUNT,
            description="Nodes that the extender knows.",
            queries=(Query(expr="max(k40s_extender_nodes{@ns})", legend="nodes"),),
            width=3,
        ),
        Panel(
            title="Silent daemons",
            kind=Kind.STAT,
            unit=Unit.COUNT,
            description="Nodes whose daemon no longer renews its Lease; they take no critical pod.",
            queries=(
                Query(
                    expr="max by (daemon) (k40s_extender_silent_daemons{@ns})",
                    legend="{{daemon}}",
                ),
            ),
            width=6,
            bad_above=1,
        ),
        Panel(
            title="Controllers that lead",
            kind=Kind.STAT,
            unit=Unit.COUNT,
            description="One replica of the controller leads; without it nothing is moved.",
            queries=(Query(expr="sum(k40s_controller_leader{@ns})", legend="leaders"),),
            width=3,
            bad_below=1,
        ),
        Panel(
            title="Endangered pods",
            kind=Kind.STAT,
            unit=Unit.COUNT,
            description="LOW and HI pods whose node's level is too low for them.",
            queries=(Query(expr="max(k40s_controller_endangered_pods{@ns})", legend="pods"),),
            width=3,
            bad_above=1,
        ),
        Panel(
            title="Reservations not enforced",
            kind=Kind.STAT,
            unit=Unit.COUNT,
            description="Reservations whose enforcement has a fault, on all nodes.",
            queries=(Query(expr="sum(k40s_rubicante_conditions{@ns})", legend="reservations"),),
            width=3,
            bad_above=1,
        ),
        Panel(
            title="Next certificate ends in",
            kind=Kind.STAT,
            unit=Unit.SECONDS,
            description="The shortest validity of all certificates of k40s's servers and clients.",
            queries=(
                Query(
                    expr='min({__name__=~"k40s_.+_certificate_expiry_timestamp_seconds",@ns})'
                    " - time()",
                    legend="left",
                ),
            ),
            width=3,
            bad_below=30 * 86400,
        ),
    ),
)

_ROOM: Final = Section(
    title="Nodes",
    panels=(
        Panel(
            title="Assurance level by node",
            kind=Kind.LINES,
            unit=Unit.COUNT,
            description="Published level, 0 to 20. A HI pod needs 14 (docs/assurance.md).",
            queries=(Query(expr="k40s_malacoda_level{@ns}", legend="{{node}}"),),
        ),
        Panel(
            title="Fullest real-time core by node",
            kind=Kind.LINES,
            unit=Unit.SHARE,
            description="Sum of budget over period of the servers on the node's fullest core.",
            queries=(
                Query(
                    expr="max by (node) (k40s_rubicante_core_utilization{@ns})",
                    legend="{{node}}",
                ),
            ),
        ),
        Panel(
            title="Real-time tasks",
            kind=Kind.LINES,
            unit=Unit.COUNT,
            description="Tasks with a reservation, by whether the kernel enforces their thread.",
            queries=(Query(expr="sum by (state) (k40s_rubicante_tasks{@ns})", legend="{{state}}"),),
        ),
    ),
)

_PROCESSES: Final = Section(
    title="Control plane",
    panels=(
        Panel(
            title="Duration of the extender's calls, mean",
            kind=Kind.LINES,
            unit=Unit.SECONDS,
            description="By verb; kube-scheduler waits for filter, prioritize and bind.",
            queries=(
                Query(
                    expr="sum by (verb) (rate(k40s_extender_call_seconds_sum{@ns}"
                    "[$__rate_interval])) / (sum by (verb) (rate("
                    "k40s_extender_call_seconds_count{@ns}[$__rate_interval])) > 0)",
                    legend="{{verb}}",
                ),
            ),
        ),
        Panel(
            title="Extender's faults",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="Calls that could not be answered, by verb.",
            queries=(
                Query(
                    expr="sum by (verb) (rate(k40s_extender_faults_total{@ns}[$__rate_interval]))",
                    legend="{{verb}}",
                ),
            ),
        ),
        Panel(
            title="Webhook's reviews",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="By what was answered; failed ones are in its log.",
            queries=(
                Query(
                    expr="sum by (review, outcome) (rate(k40s_webhook_reviews_total{@ns}"
                    "[$__rate_interval]))",
                    legend="{{review}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="API server's trouble",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="Watches that failed, and requests that were not answered.",
            queries=(
                Query(
                    expr='sum(rate({__name__=~"k40s_.+_watch_errors_total",@ns}'
                    "[$__rate_interval]))",
                    legend="watches",
                ),
                Query(
                    expr='sum(rate({__name__=~"k40s_.+_unavailable_total",@ns}[$__rate_interval]))',
                    legend="requests",
                ),
            ),
        ),
        Panel(
            title="Objects that could not be read",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="Objects of the API server with unexpected contents, by kind.",
            queries=(
                Query(
                    expr='sum by (kind) (rate({__name__=~"k40s_.+_unreadable_objects_total",@ns}'
                    "[$__rate_interval]))",
                    legend="{{kind}}",
                ),
            ),
        ),
        Panel(
            title="Unforeseen errors",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="Errors that a loop survived; each is in the log.",
            queries=(
                Query(
                    expr='sum(rate({__name__=~"k40s_.+_(tick|look)_errors_total",@ns}'
                    "[$__rate_interval]))",
                    legend="errors",
                ),
            ),
        ),
    ),
)

FLEET: Final = Board(
    uid="k40s-fleet",
    title="k40s / Fleet",
    description="Whether k40s works, and how much room its nodes have.",
    sections=(_HEALTH, _ROOM, _PROCESSES, INSIGHT),
)
