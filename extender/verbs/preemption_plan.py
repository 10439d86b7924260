"""Preemption plan: whom a pod that filter refused everywhere may displace, and on which node.

For the controller, which then claims the room for the pod and evicts the victims. The candidates
are the nodes of filter's last call for that pod.
"""

import logging

from extender.cache.bound_pods import BoundPods
from extender.cache.pods import PodTable
from extender.cache.refused_pods import RefusedPods
from extender.metrics import ExtenderMetrics
from extender.preemption.plan import Plan, PlanOutcome, Preemption
from extender.preemption.trial import Applicant
from extender.protocol import PlanArgs, encode, parse_plan_args
from k40s.criticality import Criticality

_log = logging.getLogger(__name__)


class PreemptionPlan:
    """The verb ``preemption-plan``. Any thread may call; it changes nothing."""

    name = "preemption-plan"

    def __init__(
        self,
        *,
        preemption: Preemption,
        refused: RefusedPods,
        pods: BoundPods,
        watched: PodTable,
        metrics: ExtenderMetrics,
    ) -> None:
        self._preemption = preemption
        self._refused = refused
        self._pods = pods
        self._watched = watched
        self._metrics = metrics

    def __call__(self, body: bytes) -> bytes:
        """Answers a plan. Raises ``InvalidInputError`` for an invalid body."""
        args = parse_plan_args(body)
        plan = self._plan(args)
        self._metrics.plans[plan.outcome].inc()
        if plan.outcome is PlanOutcome.PLAN:
            victims = [f"{one.namespace}/{one.name}" for one in plan.victims]
            _log.info(
                "preemption planned",
                extra={
                    "namespace": args.namespace,
                    "pod": args.name,
                    "uid": args.uid,
                    "node": plan.node,
                    "victims": victims,
                },
            )
        return format_plan(plan)

    def fault(self, text: str) -> bytes:
        """A reply with the fault in its field ``Error``."""
        return format_plan(Plan(outcome=PlanOutcome.UNKNOWN), text)

    def _plan(self, args: PlanArgs) -> Plan:
        known = self._refused.find(args.uid)
        if known is None or self._pods.find(args.uid) is not None:
            return Plan(outcome=PlanOutcome.UNKNOWN)
        watched = self._watched.find(args.uid)
        if watched is not None and watched.contract.signature != known.contract.signature:
            return Plan(outcome=PlanOutcome.UNKNOWN)  # it asks for something else by now
        workload = known.contract.workload
        if workload is None or known.pod.group or workload.criticality is Criticality.NO:
            return Plan(outcome=PlanOutcome.NONE)
        asked = Applicant(pod=known.pod, contract=known.contract, workload=workload)
        return self._preemption.plan(asked, known.names, args.protected)


def format_plan(plan: Plan, error: str = "") -> bytes:
    """Writes the reply."""
    victims = [
        {
            "Namespace": one.namespace,
            "Name": one.name,
            "UID": one.uid,
            "Criticality": "" if one.criticality is None else one.criticality.name,
        }
        for one in plan.victims
    ]
    return encode(
        {"Outcome": plan.outcome.value, "Node": plan.node, "Victims": victims, "Error": error}
    ).encode()
