"""Alerts about insight, which people look at: no pod and no guarantee depends on it."""

from typing import Final

from monitoring.model import Alert, Severity

INSIGHT: Final = (
    Alert(
        name="K40sInsightDown",
        expr="absent(k40s_insight_streams)",
        lasts="5m",
        severity=Severity.WARNING,
        summary="Insight does not answer Prometheus.",
        action="Page and explanations are missing; nothing else needs it, and k40s top and k40s "
        "status go on. Look at the Deployment k40s-insight.",
    ),
    Alert(
        name="K40sExplanationsFail",
        expr="increase("
        'k40s_insight_requests_total{outcome="unavailable",route="explanation"}[10m]) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} explanations in 10 minutes could not be given.",
        action="The extender could not be asked, or the API server. The line `request not "
        "answered` in insight's log has the cause.",
    ),
    Alert(
        name="K40sInsightFaults",
        expr='increase(k40s_insight_requests_total{outcome="failed"}[15m]) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} requests ({{ $labels.route }}) of insight failed in 15 "
        "minutes.",
        action="The log line `request failed` has the error; please report it.",
    ),
    Alert(
        name="K40sStreamsRefused",
        expr="increase(k40s_insight_streams_refused_total[5m]) > 5",
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} live pages were refused in 5 minutes (limit: "
        "{{ $labels.limit }}).",
        action="Close pages, or raise K40S_STREAMS (all) or K40S_STREAMS_PER_USER (user).",
    ),
    Alert(
        name="K40sTokensGuessed",
        expr='increase(k40s_insight_token_reviews_total{outcome="limited"}[10m]) > 0',
        lasts="0m",
        severity=Severity.WARNING,
        summary="{{ $value | humanize }} requests in 10 minutes were not looked at, after too many "
        "bad tokens.",
        action="Somebody tries tokens, or a program has an old one. Known tokens and sessions are "
        "served. See who reaches insight's Service.",
    ),
)
