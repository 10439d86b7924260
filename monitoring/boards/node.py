"""One node or several: its level, the hazards, the cores and the network's stations."""

from typing import Final

from monitoring.model import Board, Kind, Panel, Query, Section, Unit


def _lines(title: str, unit: Unit, description: str, *queries: Query) -> Panel:
    return Panel(title=title, kind=Kind.LINES, unit=unit, description=description, queries=queries)


_ASSURANCE: Final = Section(
    title="Assurance",
    panels=(
        _lines(
            "Level and its parts",
            Unit.COUNT,
            "The published level, and the parts hardware, software and state that add up to it.",
            Query(expr="k40s_malacoda_level{@node}", legend="{{node}} level"),
            Query(expr="k40s_malacoda_part{@node}", legend="{{node}} {{part}}"),
        ),
        _lines(
            "Severity of the last sample",
            Unit.COUNT,
            "1 for the present one: none, alarm, harmed (pods suffer), missed (deadlines).",
            Query(expr="k40s_malacoda_severity{@node}", legend="{{node}} {{severity}}"),
        ),
        _lines(
            "Active alarms",
            Unit.COUNT,
            "1 while the alarm on a metric is active, for the rules of the node's profile.",
            Query(expr="k40s_malacoda_alarm{@node}", legend="{{node}} {{metric}}"),
        ),
        _lines(
            "CPU shares",
            Unit.SHARE,
            "Shares of the time of the node's CPUs, and of time in which some task waited for one.",
            Query(
                expr='k40s_malacoda_metric{@node,metric=~"cpu-.+"}', legend="{{node}} {{metric}}"
            ),
        ),
        _lines(
            "Run queue",
            Unit.COUNT,
            "Runnable threads per CPU, and the part of them that contends for kernel code.",
            Query(
                expr='k40s_malacoda_metric{@node,metric=~"run-queue|kernel-queue|load"}',
                legend="{{node}} {{metric}}",
            ),
        ),
        _lines(
            "Interrupts, switches and forks",
            Unit.PER_SECOND,
            "Rates that hazards raise (docs/metrics.md says per CPU or per machine).",
            Query(
                expr="k40s_malacoda_metric{@node,metric=~"
                '"context-switches|forks|reschedules|tlb-shootdowns|function-calls|'
                'device-interrupts|softirq-.+"}',
                legend="{{node}} {{metric}}",
            ),
        ),
    ),
)

_RESPONSE: Final = Section(
    title="Culprits",
    panels=(
        _lines(
            "Critical pods that suffer",
            Unit.COUNT,
            "1 while a gauge shows harm to critical pods, and how many pods a gauge can judge.",
            Query(expr="k40s_malacoda_harmed{@node}", legend="{{node}} {{gauge}}"),
            Query(expr="k40s_malacoda_gauged_pods{@node}", legend="{{node}} pods judged"),
        ),
        _lines(
            "Pods that are held",
            Unit.COUNT,
            "Pods that are throttled or frozen because they cause a hazard; 1 while one is named.",
            Query(expr="k40s_malacoda_held_pods{@node}", legend="{{node}} held"),
            Query(expr="k40s_malacoda_suspect{@node}", legend="{{node}} suspect named"),
            Query(expr="k40s_malacoda_actuator_up{@node}", legend="{{node}} actuator up"),
        ),
        _lines(
            "Acts against culprits",
            Unit.PER_SECOND,
            "Acts asked of the actuator, by what became of them.",
            Query(
                expr="sum by (node, result) (rate(k40s_malacoda_acts_total{@node}"
                "[$__rate_interval]))",
                legend="{{node}} {{result}}",
            ),
        ),
    ),
)

_CORES: Final = Section(
    title="Real-time cores",
    panels=(
        _lines(
            "Utilization by core",
            Unit.SHARE,
            "Sum of budget over period of the servers on a core; any: of a shared root domain.",
            Query(expr="k40s_rubicante_core_utilization{@node}", legend="{{node}} core {{core}}"),
        ),
        _lines(
            "Tasks",
            Unit.COUNT,
            "Tasks with a reservation: enforced, by a stand-in, or waiting for their thread.",
            Query(expr="k40s_rubicante_tasks{@node}", legend="{{node}} {{state}}"),
        ),
        _lines(
            "Overruns",
            Unit.PER_SECOND,
            "Times that a task used more CPU time than its contract allows.",
            Query(
                expr="rate(k40s_rubicante_overruns_total{@node}[$__rate_interval])",
                legend="{{node}} {{criticality}}",
            ),
        ),
        _lines(
            "Faults of enforcement",
            Unit.COUNT,
            "Reservations that are not enforced, by why (docs/enforcement.md).",
            Query(
                expr="sum by (node, trouble) (k40s_rubicante_conditions{@node})",
                legend="{{node}} {{trouble}}",
            ),
        ),
        _lines(
            "Differences between book, pods and kernel",
            Unit.COUNT,
            "By kind; GET /v1/state of the node lists each.",
            Query(
                expr="sum by (node, kind) (k40s_rubicante_differences{@node})",
                legend="{{node}} {{kind}}",
            ),
        ),
        _lines(
            "Throttled time",
            Unit.SHARE,
            "Share of time in which a core's budget groups were throttled; needs debugfs.",
            Query(
                expr="rate(k40s_rubicante_throttled_seconds_total{@node}[$__rate_interval])",
                legend="{{node}} core {{core}}",
            ),
        ),
    ),
)

_STATIONS: Final = Section(
    title="Stations of TDMA networks",
    panels=(
        _lines(
            "Stations by health",
            Unit.COUNT,
            "A station with another health than ok takes no new pods (docs/metrics.md).",
            Query(
                expr="sum by (node, health) (k40s_scarmiglione_stations{@node})",
                legend="{{node}} {{health}}",
            ),
        ),
        _lines(
            "Slots that differ",
            Unit.COUNT,
            "Slots that differ between book and kernel at the last look.",
            Query(expr="k40s_scarmiglione_drift{@node}", legend="{{node}} {{kind}}"),
        ),
        _lines(
            "Free channels",
            Unit.COUNT,
            "Channels that are free for pods, on all stations of the node.",
            Query(expr="k40s_scarmiglione_free_channels{@node}", legend="{{node}}"),
        ),
    ),
)

NODE: Final = Board(
    uid="k40s-node",
    title="k40s / Node",
    description="The level of nodes, hazards and culprits, real-time cores and stations.",
    sections=(_ASSURANCE, _RESPONSE, _CORES, _STATIONS),
)
