"""Members of a pod group: each is passed one node, where its room is held for a moment.

kube-scheduler filters all members of a group before it binds any, and does not say where it puts
them. So filter answers the best node alone, and the next member sees that room taken. Whether all
are bound or none is kube-scheduler's. Real-time CPU is counted, not networks.
"""

from collections.abc import Sequence

from extender.cache.claims import ClaimTable
from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.placement.candidates import Split
from extender.placement.node_scores import NodeScores
from extender.protocol import PodFacts
from k40s.cpu.workload import Workload


class GroupMembers:
    """Any thread may call."""

    def __init__(self, *, claims: ClaimTable, scores: NodeScores) -> None:
        self._claims = claims
        self._scores = scores

    def narrow(
        self,
        snapshot: Snapshot,
        split: Split,
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> Split:
        """The one node that a member with real-time tasks gets; none is held if none fits.

        Nodes that would have fitted as well are in neither part.
        """
        if not workload.is_real_time:
            return split
        if not split.fit:
            self._claims.release(pod.uid)
            return split
        node = self._best(snapshot, split.fit, pod, contract, workload)
        self._claims.hold(pod.uid, node, contract)
        return Split(fit=[node], refused=split.refused)

    def _best(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> str:
        scores = self._scores.score(snapshot, names, pod, contract, workload)
        return min(zip(names, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))[0]
