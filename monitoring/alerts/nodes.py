"""Alerts about nodes: daemons, levels, culprits, cores and stations."""

from typing import Final

from monitoring.model import Alert, Severity

NODES: Final = (
    Alert(
        name="K40sDaemonSilent",
        expr="max by (daemon) (k40s_extender_silent_daemons) > 0",
        lasts="2m",
        severity=Severity.CRITICAL,
        summary="{{ $labels.daemon }} is silent on {{ $value }} nodes.",
        action="These nodes take no critical pod. Look at the daemon's pods there.",
    ),
    Alert(
        name="K40sNodesUnmonitored",
        expr="max(k40s_extender_nodes) - (count(k40s_malacoda_level) or vector(0)) > 0",
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $value }} nodes show no level to Prometheus.",
        action="malacoda does not run there, or is not scraped: alerts about these nodes cannot "
        "fire.",
    ),
    Alert(
        name="K40sCriticalPodsSuffer",
        expr='k40s_malacoda_severity{severity=~"harmed|missed"} == 1',
        lasts="1m",
        severity=Severity.CRITICAL,
        summary="Critical pods on {{ $labels.node }} suffer: severity {{ $labels.severity }}.",
        action="Events on the Node name the hazard and its culprit, if there is one.",
    ),
    Alert(
        name="K40sCulpritHeld",
        expr="k40s_malacoda_held_pods > 0",
        lasts="15m",
        severity=Severity.WARNING,
        summary="{{ $value }} pods on {{ $labels.node }} are throttled or frozen; some have been "
        "for 15 minutes.",
        action="Limit the pod that events on the Node name, or place it elsewhere.",
    ),
    Alert(
        name="K40sCulpritNotHeld",
        expr="sum by (node, result) (increase("
        'k40s_malacoda_acts_total{result=~"failed|unreachable"}[10m])) > 0',
        lasts="0m",
        severity=Severity.CRITICAL,
        summary="{{ $value | humanize }} acts against a culprit on {{ $labels.node }}: "
        "{{ $labels.result }}.",
        action="The hazard lasts. The event ResponseFailed says why.",
    ),
    Alert(
        name="K40sActuatorDown",
        expr="k40s_malacoda_actuator_up == 0",
        lasts="2m",
        severity=Severity.CRITICAL,
        summary="Actuator up on {{ $labels.node }}: {{ $value }}.",
        action="No culprit can be held there. Look at the container actuator of malacoda's pod.",
    ),
    Alert(
        name="K40sProfileRefused",
        expr="k40s_malacoda_profile_refused == 1",
        lasts="5m",
        severity=Severity.WARNING,
        summary="The profile of rules for {{ $labels.node }} is refused ({{ $value }}).",
        action="The former rules stay in force. The event ProfileRefused has file and field.",
    ),
    Alert(
        name="K40sAnnotationInvalid",
        expr="increase(k40s_malacoda_invalid_annotations_total[15m]) > 0",
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} annotations of an operator on {{ $labels.node }} could "
        "not be understood.",
        action="They count as 0, so the node's level is lower. The event AssuranceInvalid has the "
        "text.",
    ),
    Alert(
        name="K40sKernelRefuses",
        expr="increase(k40s_rubicante_enforcement_failures_total[5m]) > 0",
        lasts="10m",
        severity=Severity.WARNING,
        summary="The kernel of {{ $labels.node }} refused {{ $value | humanize }} attempts to "
        "enforce or release in 5 minutes.",
        action="rubicante's log has the call and the error.",
    ),
    Alert(
        name="K40sDrift",
        expr='k40s_rubicante_differences{kind=~"stray|abandoned-reservation|grant-differs"} > 0',
        lasts="5m",
        severity=Severity.WARNING,
        summary="{{ $value }} differences ({{ $labels.kind }}) between book, pods and kernel on "
        "{{ $labels.node }}.",
        action="GET /v1/state of the node lists each under warnings.",
    ),
    Alert(
        name="K40sForeignRealTime",
        expr='k40s_rubicante_differences{kind=~"foreign-group|foreign-thread"} > 0',
        lasts="5m",
        severity=Severity.WARNING,
        summary="{{ $value }} real-time groups or threads of others ({{ $labels.kind }}) may "
        "run on real-time CPUs of {{ $labels.node }}.",
        action="They take time that admission has promised. Move them off these CPUs.",
    ),
    Alert(
        name="K40sBudgetTimerOff",
        expr="k40s_rubicante_hrtick_dl_refused == 1",
        lasts="5m",
        severity=Severity.WARNING,
        summary="HRTICK_DL is permitted on {{ $labels.node }} and not on ({{ $value }}).",
        action="The node enforces at the tick. rubicante's log and GET /v1/state have the cause.",
    ),
    Alert(
        name="K40sStationUnhealthy",
        expr='k40s_scarmiglione_stations{health!~"ok|starting"} > 0',
        lasts="1m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} stations on {{ $labels.node }} have health {{ $labels.health }}.",
        action="They take no new pods, and slots may not be in force.",
    ),
    Alert(
        name="K40sSlotsMissing",
        expr='k40s_scarmiglione_drift{kind=~"missing|altered"} > 0',
        lasts="1m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} slots on {{ $labels.node }} are {{ $labels.kind }} in the kernel.",
        action="They are set again each second, without success. The event SlotsIncomplete has "
        "the kernel's answer.",
    ),
    Alert(
        name="K40sSlotTableConflict",
        expr="k40s_scarmiglione_table_conflicts > 0",
        lasts="1m",
        severity=Severity.CRITICAL,
        summary="Reservations overlap in {{ $value }} networks whose master is {{ $labels.node }}.",
        action="Stations may send at the same time. The event SlotTableConflict names the pods; "
        "delete one.",
    ),
    Alert(
        name="K40sSyncLost",
        expr="increase(k40s_scarmiglione_sync_losses_total[15m]) > 0",
        lasts="0m",
        severity=Severity.WARNING,
        summary="A station on {{ $labels.node }} stopped receiving Sync {{ $value | humanize }} "
        "times in 15 minutes.",
        action="Look at the network's master and at the cable.",
    ),
    Alert(
        name="K40sClockStepped",
        expr="increase(k40s_scarmiglione_clock_steps_total[15m]) > 0",
        lasts="0m",
        severity=Severity.WARNING,
        summary="The clock of {{ $labels.node }} was stepped {{ $value | humanize }} times in 15 "
        "minutes.",
        action="Configure time synchronisation to slew the clock.",
    ),
)
