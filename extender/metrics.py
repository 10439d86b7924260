"""``k40s_extender_*``. Labels come from closed sets, and nothing is counted node by node."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from extender.binding.outcome import Outcome
from extender.monitoring.silent_daemons import SILENCE
from extender.monitoring.unadmitted import Misplacement
from extender.preemption.plan import PlanOutcome
from k40s.annotations import ASSURANCE_CLASS_LABEL, REAL_TIME_LABEL
from k40s.reasons import Reason

VERBS = ("filter", "prioritize", "bind", "dry-run", "preempt", "preemption-plan", "explain")
KINDS = ("nodes", "leases", "pods", "pod-makers", "networks", "runtime-classes", "tenants")
VERDICT_ORIGINS = ("exact", "rough", "remembered", "asked", "unanswered")
EXCHANGE_OUTCOMES = {True: "found", False: "none"}
NETWORK_VERDICT_ORIGINS = ("searched", "remembered", "unsearched")
PREEMPT_ANSWERS = ("kept", "extended", "dropped")
WITHDRAWN = (ASSURANCE_CLASS_LABEL, REAL_TIME_LABEL)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class ExtenderMetrics:
    """All of the extender's metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        seconds = Histogram(
            "k40s_extender_call_seconds",
            "Duration of the calls of scheduler and controller.",
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
        verdicts = Counter(
            "k40s_extender_judged_nodes_total",
            "Admission verdicts for real-time pods by origin; rough: by bandwidth alone.",
            ["how"],
            registry=registry,
        )
        exchanges = Counter(
            "k40s_extender_exchange_searches_total",
            "Searches for an exchange of servers that lets a refused pod in.",
            ["outcome"],
            registry=registry,
        )
        self.exchanges = {found: exchanges.labels(how) for found, how in EXCHANGE_OUTCOMES.items()}
        network_verdicts = Counter(
            "k40s_extender_judged_stations_total",
            "Verdicts on nodes for one network by origin; unsearched: for want of time.",
            ["how"],
            registry=registry,
        )
        self.network_verdicts = {
            how: network_verdicts.labels(how) for how in NETWORK_VERDICT_ORIGINS
        }
        self.network_conflicts = Counter(
            "k40s_extender_network_conflicts_total",
            "Writes of network reservations that another writer was faster than.",
            registry=registry,
        )
        self.tenant_conflicts = Counter(
            "k40s_extender_tenant_conflicts_total",
            "Writes of tenants' reservations that another writer was faster than.",
            registry=registry,
        )
        binds = Counter(
            "k40s_extender_binds_total", "Binds by how they ended.", ["outcome"], registry=registry
        )
        plans = Counter(
            "k40s_extender_preemption_plans_total",
            "Preemption plans that the controller asked for, by what they say.",
            ["outcome"],
            registry=registry,
        )
        self.plans = {outcome: plans.labels(outcome.value) for outcome in PlanOutcome}
        preempt_nodes = Counter(
            "k40s_extender_preempt_nodes_total",
            "Nodes on which kube-scheduler would have ended pods, by the answer.",
            ["answer"],
            registry=registry,
        )
        self.preempt_nodes = {answer: preempt_nodes.labels(answer) for answer in PREEMPT_ANSWERS}
        unreadable = Counter(
            "k40s_extender_unreadable_objects_total",
            "Times that an object was partly unreadable, in a list or a change.",
            ["kind"],
            registry=registry,
        )
        bind_refusals = Counter(
            "k40s_extender_bind_refusals_total",
            "Binds that were refused or failed, by reason.",
            ["reason"],
            registry=registry,
        )
        silent = Gauge(
            "k40s_extender_silent_daemons",
            "Nodes whose daemon published its state and no longer renews its Lease.",
            ["daemon"],
            registry=registry,
        )
        self.silent = {daemon: silent.labels(daemon) for daemon in SILENCE}
        self.nodes = Gauge("k40s_extender_nodes", "Nodes in the cache.", registry=registry)
        self.watch_errors = Counter(
            "k40s_extender_watch_errors_total",
            "Lists and watches that failed.",
            registry=registry,
        )
        withdrawn = Counter(
            "k40s_extender_labels_withdrawn_total",
            "Labels withdrawn from nodes whose daemon is stale.",
            ["label"],
            registry=registry,
        )
        self.withdrawn = {label: withdrawn.labels(label) for label in WITHDRAWN}
        self.unreadable = {kind: unreadable.labels(kind) for kind in KINDS}
        self.look_errors = Counter(
            "k40s_extender_look_errors_total",
            "Unexpected failures of the check of bound pods.",
            registry=registry,
        )
        self.seconds = {verb: seconds.labels(verb) for verb in VERBS}
        self.faults = {verb: faults.labels(verb) for verb in VERBS}
        self.refusals = {reason: refusals.labels(reason.value) for reason in Reason}
        self.verdicts = {how: verdicts.labels(how) for how in VERDICT_ORIGINS}
        self.unreached = Gauge(
            "k40s_extender_unreached_keys",
            "Deployments and the like with keys of k40s that reach none of their pods.",
            registry=registry,
        )
        misplaced = Gauge(
            "k40s_extender_misplaced_pods",
            "Bound pods that violate what k40s requires of a placement.",
            ["cause"],
            registry=registry,
        )
        self.misplaced = {cause: misplaced.labels(cause.value) for cause in Misplacement}
        self.bind_refusals = {reason: bind_refusals.labels(reason.value) for reason in Reason}
        self.binds = {outcome: binds.labels(outcome.value) for outcome in Outcome}
