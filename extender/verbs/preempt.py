"""Preempt: guards kube-scheduler's own preemption.

kube-scheduler ends whatever pods it is told, of any priority. So a node is dropped where a victim
is of the same or a higher criticality, or is unknown, and where filter would refuse the pod even
without them; else it would evict on node after node for nothing. Where more has to go, the least
that is enough is added. A list is never emptied: its node is dropped.
"""

import logging

from extender.cache.refused_pods import RefusedPods
from extender.cache.workloads import WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.preemption.plan import Preemption
from extender.preemption.trial import Applicant
from extender.protocol import PreemptionArgs, encode, parse_preemption_args

_log = logging.getLogger(__name__)


class Preempt:
    """The verb ``preempt``. Any thread may call; it changes nothing."""

    name = "preempt"

    def __init__(
        self,
        *,
        preemption: Preemption,
        workloads: WorkloadCache,
        refused: RefusedPods,
        metrics: ExtenderMetrics,
    ) -> None:
        self._preemption = preemption
        self._workloads = workloads
        self._refused = refused
        self._metrics = metrics

    def __call__(self, body: bytes) -> bytes:
        """Answers ``ExtenderPreemptionResult``. Raises ``InvalidInputError`` for a bad body."""
        args = parse_preemption_args(body)
        given = {name: one.uids for name, one in args.victims.items()}
        victims = self._victims(args, given)
        counted = self._metrics.preempt_nodes
        for name, uids in given.items():
            kept = victims.get(name)
            counted["dropped" if kept is None else "kept" if kept == uids else "extended"].inc()
        _log.info(
            "preemption answered",
            extra={
                "namespace": args.pod.namespace,
                "pod": args.pod.name,
                "uid": args.pod.uid,
                "nodes": len(given),
                "kept": len(victims),
            },
        )
        return format_preemption_result(args, victims)

    def fault(self, text: str) -> None:
        """None: ``ExtenderPreemptionResult`` has no field for errors, only a status."""

    def _victims(
        self, args: PreemptionArgs, given: dict[str, frozenset[str]]
    ) -> dict[str, frozenset[str]]:
        contract = self._workloads.read_pod(args.pod)
        if contract.workload is None:
            return {}
        asked = Applicant(pod=args.pod, contract=contract, workload=contract.workload)
        refused = self._refused.find(args.pod.uid)
        if refused is not None and self._preemption.awaits_room(asked, refused.names):
            return {}  # room is on its way, so nobody else has to go
        return self._preemption.complete(asked, given)


def format_preemption_result(args: PreemptionArgs, victims: dict[str, frozenset[str]]) -> bytes:
    """Writes ``ExtenderPreemptionResult``, whose victims are named by their UIDs."""
    nodes = {
        name: {
            "Pods": [{"UID": uid} for uid in sorted(uids)],
            "NumPDBViolations": args.victims[name].violations,
        }
        for name, uids in victims.items()
    }
    return encode({"NodeNameToMetaVictims": nodes}).encode()
