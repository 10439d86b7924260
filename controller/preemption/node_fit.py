"""Whether kube-scheduler's own filters would let a pod onto the node of a plan at present.

The extender plans with the nodes of the scheduler's last question. Where every node has become
impossible since (cordoned, tainted, full of CPU requests), the scheduler does not ask it again, and
the victims would go for nothing.
"""

import logging
from collections.abc import Collection

from controller.cluster.pods import PodView
from controller.preemption.ports import Control
from controller.preemption_rules.candidates import Preemptor
from k40s.assurance.migration.placement import find_misfit
from k40s.kube.objects.scheduling import pod_constraints
from k40s.kube.transport import NotFoundError

log = logging.getLogger(__name__)


class NodeFit:
    """Two requests for an answer; it changes nothing."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def admits(self, pod: Preemptor, node: str, victims: Collection[str], view: PodView) -> bool:
        """Whether the pod may go there once these UIDs are gone. Raises ``UnavailableError``.

        Node selector, required node affinity, taints and CPU requests are looked at; what of it
        cannot be read in the pod is left to kube-scheduler.
        """
        offer = self._control.node(node)
        try:
            wanted, _ = pod_constraints(self._control.pod(pod.namespace, pod.name))
        except NotFoundError:
            return False
        requested = sum(
            one.record.pod.cpu_request_millis
            for uid, one in view.pods.items()
            if one.record.pod.node == node
            and uid not in victims
            and not (one.record.pod.deleting or one.record.pod.ended)
        )
        misfit = None if offer is None else find_misfit(wanted, offer, requested)
        if offer is not None and misfit is None:
            return True
        cause = "it is gone" if misfit is None else misfit.value
        extra = {"pod": pod.full_name, "uid": pod.uid, "node": node, "cause": cause}
        log.info("node of a plan passed over", extra=extra)
        return False
