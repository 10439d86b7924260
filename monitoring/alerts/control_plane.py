"""Alerts about k40s's own processes."""

from typing import Final

from monitoring.model import Alert, Severity

_DAY = 86400
_EXPIRY = '{__name__=~"k40s_.+_certificate_expiry_timestamp_seconds"} - time()'

CONTROL_PLANE: Final = (
    Alert(
        name="K40sExtenderDown",
        expr="absent(k40s_extender_nodes)",
        lasts="2m",
        severity=Severity.CRITICAL,
        summary="No replica of the extender answers Prometheus.",
        action="While no replica runs, no pod of k40s-scheduler is placed; running pods keep what "
        "they have. Look at the Deployment k40s-extender.",
    ),
    Alert(
        name="K40sExtenderFaults",
        expr="sum by (verb) (increase(k40s_extender_faults_total[10m])) > 0",
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} calls {{ $labels.verb }} of the extender failed in 10 "
        "minutes.",
        action="kube-scheduler tries these pods again. The extender's log has each cause.",
    ),
    Alert(
        name="K40sWebhookDown",
        expr="absent(k40s_webhook_warnings_total)",
        lasts="2m",
        severity=Severity.CRITICAL,
        summary="No replica of the webhook answers Prometheus.",
        action="While no replica runs, pods with k40s's keys are refused at creation. Look at the "
        "Deployment k40s-webhook.",
    ),
    Alert(
        name="K40sWebhookUnavailable",
        expr="increase(k40s_webhook_unavailable_total[5m]) > 0",
        lasts="10m",
        severity=Severity.WARNING,
        summary="The webhook cannot keep its configuration: {{ $value | humanize }} failed looks "
        "in 5 minutes.",
        action="After a renewal of the CA, the API server would not trust the webhook. Its log has "
        "the API server's answer.",
    ),
    Alert(
        name="K40sWebhookReviewsFail",
        expr='sum by (review) (increase(k40s_webhook_reviews_total{outcome="failed"}[10m])) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} reviews ({{ $labels.review }}) of the webhook failed in "
        "10 minutes.",
        action="The API server refused these objects. The webhook's log has the error.",
    ),
    Alert(
        name="K40sNoLeader",
        expr="(max(k40s_controller_leader) or vector(0)) < 1",
        lasts="2m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} controllers lead.",
        action="Nothing is moved, preempted or collected. Look at the Deployment k40s-controller "
        "and its Lease.",
    ),
    Alert(
        name="K40sCertificateEnds",
        expr=f"{_EXPIRY} < {30 * _DAY}",
        lasts="5m",
        severity=Severity.WARNING,
        summary="The {{ $labels.certificate }} certificate of {{ $labels.pod }} ends in "
        "{{ $value | humanizeDuration }}.",
        action="The renewal does not run: it replaces certificates with a third of their validity "
        "left. Renew them and restart k40s-scheduler.",
    ),
    Alert(
        name="K40sCertificateEndsSoon",
        expr=f"{_EXPIRY} < {3 * _DAY}",
        lasts="5m",
        severity=Severity.CRITICAL,
        summary="The {{ $labels.certificate }} certificate of {{ $labels.pod }} ends in "
        "{{ $value | humanizeDuration }}.",
        action="Without it, no real-time pod is placed. A negative figure means that it has ended, "
        "or that its file cannot be read. Renew it now.",
    ),
    Alert(
        name="K40sWatchErrors",
        expr='increase({__name__=~"k40s_.+_watch_errors_total"}[5m]) > 2',
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} lists and watches of {{ $labels.pod }} failed in 5 "
        "minutes.",
        action="The process decides on what it saw last. Look at the API server, and at the "
        "process's permissions.",
    ),
    Alert(
        name="K40sApiServerSilent",
        expr='increase({__name__=~"k40s_(controller|insight|malacoda)_unavailable_total"}[5m]) > 5',
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} requests of {{ $labels.pod }} were not answered in 5 "
        "minutes.",
        action="Look at the API server; for the controller, at the extender as well.",
    ),
    Alert(
        name="K40sUnreadableObjects",
        expr='increase({__name__=~"k40s_.+_unreadable_objects_total"}[15m]) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $labels.pod }} could not understand an object ({{ $labels.kind }}) "
        "{{ $value | humanize }} times in 15 minutes.",
        action="What they hold is treated with caution. The log line `object not understood` "
        "names them.",
    ),
    Alert(
        name="K40sUnforeseenErrors",
        expr='increase({__name__=~"k40s_.+_(tick|look)_errors_total"}[15m]) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} unforeseen errors in {{ $labels.pod }} in 15 minutes.",
        action="The loop goes on. The log has the error; please report it.",
    ),
)
