"""``k40s_webhook_*``. Labels come from closed sets."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from k40s.errors import UnavailableError

REVIEWS = ("validate", "mutate")
OUTCOMES = ("allowed", "refused", "patched", "failed")
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class WebhookMetrics:
    """All of the webhook's metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        reviews = Counter(
            "k40s_webhook_reviews_total",
            "Reviews that the API server asked for, by what was answered.",
            ["review", "outcome"],
            registry=registry,
        )
        self.reviews = {
            (review, outcome): reviews.labels(review, outcome)
            for review in REVIEWS
            for outcome in OUTCOMES
        }
        seconds = Histogram(
            "k40s_webhook_review_seconds",
            "Duration of a review.",
            ["review"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self.seconds = {review: seconds.labels(review) for review in REVIEWS}
        self.warnings = Counter(
            "k40s_webhook_warnings_total",
            "Warnings given to users: keys that reach no pod.",
            registry=registry,
        )
        self.certificates_written = Counter(
            "k40s_webhook_certificates_written_total",
            "Writes of CA certificates into a webhook configuration.",
            registry=registry,
        )
        self.unavailable = Counter(
            "k40s_webhook_unavailable_total",
            "Looks at the webhook configurations that failed.",
            registry=registry,
        )
        self.watch_errors = Counter(
            "k40s_webhook_watch_errors_total",
            "Lists and watches of Tenants that failed.",
            registry=registry,
        )
        self.unreadable = Counter(
            "k40s_webhook_unreadable_objects_total",
            "Times that a Tenant could not be used.",
            registry=registry,
        )
        self.errors = Counter(
            "k40s_webhook_tick_errors_total", "Unforeseen errors in the loop.", registry=registry
        )

    def count_failure(self, _error: UnavailableError) -> None:
        """A look failed."""
        self.unavailable.inc()
