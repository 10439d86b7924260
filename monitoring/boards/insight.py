"""What insight does for people: a section of the board about the fleet."""

from typing import Final

from monitoring.model import Kind, Panel, Query, Section, Unit

INSIGHT: Final = Section(
    title="Insight",
    panels=(
        Panel(
            title="Live pages and sessions",
            kind=Kind.LINES,
            unit=Unit.COUNT,
            description="Streams that are open, and browsers that are signed in.",
            queries=(
                Query(expr="sum(k40s_insight_streams{@ns})", legend="live pages"),
                Query(expr="sum(k40s_insight_sessions{@ns})", legend="sessions"),
            ),
        ),
        Panel(
            title="Insight's requests",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="By how they ended; refused ones lack a token or a right, or reach a "
            "limit.",
            queries=(
                Query(
                    expr="sum by (outcome) (rate(k40s_insight_requests_total{@ns}"
                    "[$__rate_interval]))",
                    legend="{{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Explanations",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="By how they ended; unavailable ones could not ask the extender or the "
            "API server.",
            queries=(
                Query(
                    expr="sum by (outcome) (rate(k40s_insight_requests_total{"
                    'route="explanation",@ns}[$__rate_interval]))',
                    legend="{{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Tokens reviewed",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="Limited ones were not looked at, after too many bad ones.",
            queries=(
                Query(
                    expr="sum by (outcome) (rate(k40s_insight_token_reviews_total{@ns}"
                    "[$__rate_interval]))",
                    legend="{{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Live pages that were refused or ended",
            kind=Kind.LINES,
            unit=Unit.PER_SECOND,
            description="Refused by a limit, of all readers or of one user; ended by their cause.",
            queries=(
                Query(
                    expr="sum by (limit) (rate(k40s_insight_streams_refused_total{@ns}"
                    "[$__rate_interval]))",
                    legend="refused: {{limit}}",
                ),
                Query(
                    expr="sum by (cause) (rate(k40s_insight_stream_ends_total{@ns}"
                    "[$__rate_interval]))",
                    legend="ended: {{cause}}",
                ),
            ),
        ),
        Panel(
            title="Time spent on overviews",
            kind=Kind.LINES,
            unit=Unit.SHARE,
            description="Share of the time in which insight builds an overview; none is built "
            "while nobody looks.",
            queries=(
                Query(
                    expr="sum(rate(k40s_insight_overview_seconds_sum{@ns}[$__rate_interval]))",
                    legend="building",
                ),
            ),
        ),
    ),
)
