"""``k40s_extender_*``. Labels come from closed sets, and nothing is counted node by node."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from extender.bind import Outcome
from k40s.reasons import Reason

VERBS = ("filter", "prioritize", "bind")
JUDGEMENTS = ("exact", "rough", "remembered", "asked", "unanswered")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class ExtenderMetrics:
    """All of the extender's metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        seconds = Histogram(
            "k40s_extender_call_seconds",
            "Duration of the scheduler's calls.",
            ["verb"],
            buckets=_SECONDS,
            registry=registry,
        )
        faults = Counter(
            "k40s_extender_faults_total",
            "Calls that could not be answered.",
            ["verb"],
            registry=registry,
        )
        refusals = Counter(
            "k40s_extender_refusals_total",
            "Nodes refused to pods, by reason.",
            ["reason"],
            registry=registry,
        )
        judged = Counter(
            "k40s_extender_judged_nodes_total",
            "Nodes judged for real-time pods: here, roughly, as remembered, or by the node.",
            ["how"],
            registry=registry,
        )
        binds = Counter(
            "k40s_extender_binds_total", "Binds by how they ended.", ["outcome"], registry=registry
        )
        self.nodes = Gauge("k40s_extender_nodes", "Nodes in the cache.", registry=registry)
        self.watch_errors = Counter(
            "k40s_extender_watch_errors_total",
            "Lists and watches that failed.",
            registry=registry,
        )
        self.seconds = {verb: seconds.labels(verb) for verb in VERBS}
        self.faults = {verb: faults.labels(verb) for verb in VERBS}
        self.refusals = {reason: refusals.labels(reason.value) for reason in Reason}
        self.judged = {how: judged.labels(how) for how in JUDGEMENTS}
        self.binds = {outcome: binds.labels(outcome.value) for outcome in Outcome}
