"""``k40s_insight_*``. Labels come from closed sets; no user and no pod is one."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROUTES = ("page", "session", "overview", "stream", "explanation", "other")
OUTCOMES = ("ok", "refused", "unavailable", "failed")
REVIEWS = ("accepted", "rejected", "limited")
STREAM_ENDS = ("client", "rejected", "expired", "unreviewed")
STREAM_LIMITS = ("all", "user")
KINDS = ("nodes", "pods", "leases", "networks", "events")
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class InsightMetrics:
    """All of insight's metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "k40s_insight_requests_total",
            "Requests, by what was asked for and how it ended.",
            ["route", "outcome"],
            registry=registry,
        )
        self.requests = {
            (route, outcome): requests.labels(route, outcome)
            for route in ROUTES
            for outcome in OUTCOMES
        }
        reviews = Counter(
            "k40s_insight_token_reviews_total",
            "Tokens that were reviewed, and those that were not because of too many bad ones.",
            ["outcome"],
            registry=registry,
        )
        self.reviews = {outcome: reviews.labels(outcome) for outcome in REVIEWS}
        ends = Counter(
            "k40s_insight_stream_ends_total", "Streams that ended.", ["cause"], registry=registry
        )
        self.stream_ends = {cause: ends.labels(cause) for cause in STREAM_ENDS}
        refused = Counter(
            "k40s_insight_streams_refused_total",
            "Streams that were refused by a limit: of all readers, or of one user.",
            ["limit"],
            registry=registry,
        )
        self.streams_refused = {limit: refused.labels(limit) for limit in STREAM_LIMITS}
        self.streams = Gauge("k40s_insight_streams", "Streams that are open.", registry=registry)
        self.sessions = Gauge("k40s_insight_sessions", "Sessions of browsers.", registry=registry)
        self.overview_seconds = Histogram(
            "k40s_insight_overview_seconds",
            "Time to build an overview of what is watched.",
            registry=registry,
            buckets=_BUCKETS,
        )
        watch = Counter(
            "k40s_insight_watch_errors_total",
            "Lists and watches that failed.",
            registry=registry,
        )
        self.watch_errors = watch
        unreadable = Counter(
            "k40s_insight_unreadable_objects_total",
            "Times that an object could not be read completely.",
            ["kind"],
            registry=registry,
        )
        self.unreadable = {kind: unreadable.labels(kind) for kind in KINDS}
        self.unavailable = Counter(
            "k40s_insight_unavailable_total",
            "Reviews of sessions and streams for which the API server did not answer.",
            registry=registry,
        )
        self.errors = Counter(
            "k40s_insight_tick_errors_total", "Unforeseen errors in a loop.", registry=registry
        )
