"""Alerts about pods: unprotected, over budget, endangered, waiting."""

from typing import Final

from monitoring.model import Alert, Severity

PODS: Final = (
    Alert(
        name="K40sPodPastAdmission",
        expr="max by (cause) (k40s_extender_misplaced_pods"
        '{cause=~"not-admitted|not-reserved"}) > 0',
        lasts="1m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} pods run without a grant ({{ $labels.cause }}).",
        action="They have no guarantee and may harm others. The event NotAdmitted names each; "
        "delete it and set schedulerName: k40s-scheduler.",
    ),
    Alert(
        name="K40sPodMisplaced",
        expr="max by (cause) (k40s_extender_misplaced_pods"
        '{cause=~"assurance|invalid-annotation"}) > 0',
        lasts="15m",
        severity=Severity.WARNING,
        summary="{{ $value }} bound pods would not be placed so ({{ $labels.cause }}).",
        action="Raise the node's assurance, correct the annotation, or let them be placed again.",
    ),
    Alert(
        name="K40sPodUnreserved",
        expr="k40s_rubicante_unreserved_pods > 0",
        lasts="30s",
        severity=Severity.CRITICAL,
        summary="{{ $value }} pods on {{ $labels.node }} have an allocation and no reservation.",
        action="They run without their guarantee. The event ReservationMissing names each; delete "
        "it, so that it is placed again.",
    ),
    Alert(
        name="K40sNotEnforced",
        expr='k40s_rubicante_conditions{trouble!~"not-running|core-changing|enforced-late"} > 0',
        lasts="1m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} reservations on {{ $labels.node }} are not enforced: "
        "{{ $labels.trouble }}.",
        action="Their tasks run as ordinary threads. The pod's condition k40s.io/enforced has the "
        "message.",
    ),
    Alert(
        name="K40sCoreChangeStuck",
        expr='k40s_rubicante_conditions{trouble="core-changing"} > 0',
        lasts="5m",
        severity=Severity.WARNING,
        summary="{{ $value }} reservations on {{ $labels.node }} wait for their core's servers "
        "to change.",
        action="Their tasks run as ordinary threads, and the core takes no other pod. The cause is "
        "in exchanges of GET /v1/state; delete the waiting pod to open the core.",
    ),
    Alert(
        name="K40sEnforcedLate",
        expr='k40s_rubicante_conditions{trouble="enforced-late"} > 0',
        lasts="0m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} reservations on {{ $labels.node }} are enforced later than they "
        "were admitted for.",
        action="They may miss deadlines beside a faulty neighbour. HRTICK_DL was switched off, or "
        "the measured lateness has grown.",
    ),
    Alert(
        name="K40sOverrunOfHi",
        expr='increase(k40s_rubicante_overruns_total{criticality="HI"}[10m]) > 0',
        lasts="0m",
        severity=Severity.CRITICAL,
        summary="HI tasks on {{ $labels.node }} overran their budget {{ $value | humanize }} "
        "times in 10 minutes.",
        action="Others are safe, and the task is throttled: it may miss deadlines. Its WCET is "
        "too small, or the task is faulty.",
    ),
    Alert(
        name="K40sPodsEndangered",
        expr="max(k40s_controller_endangered_pods) > 0",
        lasts="5m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} critical pods are on nodes whose level is too low for them.",
        action="The events of these pods say whether they are moved, and why not.",
    ),
    Alert(
        name="K40sMigrationStuck",
        expr="max by (obstacle) (k40s_controller_held_pods{obstacle=~"
        '"no-controller|daemon-set|static-pod|no-node|disruption-budget|unreadable"}) > 0',
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $value }} endangered pods stay where they are: {{ $labels.obstacle }}.",
        action="k40s cannot resolve this by waiting. The event NotMigrated says what would help.",
    ),
    Alert(
        name="K40sMigrationLimitUsedUp",
        expr="max by (obstacle) (k40s_controller_held_pods{obstacle=~"
        '"per-hour|namespace-per-hour"}) > 0',
        lasts="5m",
        severity=Severity.WARNING,
        summary="{{ $value }} endangered pods wait because a limit of moves is used up: "
        "{{ $labels.obstacle }}.",
        action="Find out why so many nodes lost their level before raising the limit.",
    ),
    Alert(
        name="K40sPreemptionLimitUsedUp",
        expr="max by (obstacle) (k40s_controller_preemption_waiting_pods{obstacle=~"
        '"per-hour|namespace-per-hour"}) > 0',
        lasts="5m",
        severity=Severity.WARNING,
        summary="{{ $value }} critical pods wait because a limit of preemptions is used up: "
        "{{ $labels.obstacle }}.",
        action="The cluster lacks room for its critical pods. Add a node, or raise the limit.",
    ),
    Alert(
        name="K40sCriticalPodsWait",
        expr="max by (obstacle) (k40s_controller_preemption_waiting_pods{obstacle=~"
        '"no-plan|node-unfit|disruption-budget|victim-not-allowed"}) > 0',
        lasts="15m",
        severity=Severity.WARNING,
        summary="{{ $value }} critical pods wait, for 15 minutes now: {{ $labels.obstacle }}.",
        action="No preemption makes room for them. Their events name what is missing.",
    ),
    Alert(
        name="K40sPreemptionInVain",
        expr='increase(k40s_controller_preemption_ends_total{outcome=~"lost|expired"}[15m]) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} preemptions in 15 minutes gave nobody a place "
        "({{ $labels.outcome }}).",
        action="Pods were evicted, or were to be, and the pod that needed the room was not bound. "
        "Its event PreemptionFailed says what is missing.",
    ),
    Alert(
        name="K40sCulpritEvictionHeld",
        expr="max by (obstacle) (k40s_controller_held_culprits{obstacle!~"
        '"stale-request|unknown-pod|dry-run|disabled"}) > 0',
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $value }} culprits whose eviction is asked for stay: {{ $labels.obstacle }}.",
        action="They stay throttled. The event CulpritNotEvicted says what keeps them.",
    ),
    Alert(
        name="K40sKeysReachNoPod",
        expr="max(k40s_extender_unreached_keys) > 0",
        lasts="15m",
        severity=Severity.WARNING,
        summary="{{ $value }} Deployments, Jobs or the like have k40s's keys that reach no pod.",
        action="Their pods run as NO. The event KeyReachesNoPod says which key belongs into the "
        "pod template.",
    ),
)
