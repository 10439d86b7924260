"""Scores of candidate nodes for a pod, as prioritize gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.placement.candidates import split_by_assurance
from extender.placement.exchanges import FindTable
from extender.placement.network_admission import NetworkAdmission
from extender.placement.pod_admission import RealTimeVerdicts
from extender.placement.score import score_damage, score_nodes
from extender.protocol import PodFacts
from k40s.cpu.workload import Workload
from k40s.node_api.messages import PodRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTerms:
    """What scores depend on besides assurance; None where the pod does not ask for it.

    ``remaining`` is the utilization left on the least loaded core (0..1), ``damages`` is what the
    pod would take of its networks, each by node that has it.
    """

    remaining: Mapping[str, float] | None
    damages: Mapping[str, float] | None


class NodeScores:
    """Any thread may call."""

    def __init__(
        self, *, admission: RealTimeVerdicts, networks: NetworkAdmission, tables: FindTable
    ) -> None:
        """``tables`` know where servers are exchanged: there nothing counts as left."""
        self._admission = admission
        self._networks = networks
        self._tables = tables

    def score(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> list[int]:
        """From 0 to 10, in the order of the names; the contract is that of the workload."""
        terms = self.terms(snapshot, names, pod, contract, workload)
        return score_terms(snapshot, names, workload, terms)

    def terms(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> ScoreTerms:
        """What the scores of these nodes depend on."""
        remaining = damages = None
        if workload.is_real_time:
            remaining = self._remaining(snapshot, names, pod, contract, workload)
        if contract.requirements:
            damages = self._damages(snapshot, names, pod, contract)
        return ScoreTerms(remaining=remaining, damages=damages)

    def _remaining(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> Mapping[str, float]:
        split = split_by_assurance(snapshot, names, workload.criticality)
        about = PodRef(uid=pod.uid, namespace=pod.namespace, name=pod.name)
        verdicts = self._admission.verdicts(snapshot, split.fit, about, contract, workload)
        table, signature = self._tables.exchanges_of(contract.signature), contract.signature
        return {
            name: verdict.remaining
            for name, verdict in verdicts.items()
            if verdict.reason is None or table.holds(signature, name, snapshot.nodes[name].cpu)
        }

    def _damages(
        self, snapshot: Snapshot, names: Sequence[str], pod: PodFacts, contract: Contract
    ) -> Mapping[str, float]:
        """What the pod would take of its networks, by node that has it."""
        verdicts = self._networks.verdicts(snapshot, names, pod.uid, contract.requirements)
        return {name: found.damage for name, found in verdicts.items() if found.reason is None}


def score_terms(
    snapshot: Snapshot, names: Sequence[str], workload: Workload, terms: ScoreTerms
) -> list[int]:
    """The scores that follow, from 0 to 10, in the order of the names."""
    scores = score_nodes(
        snapshot, names, criticality=workload.criticality, remaining=terms.remaining
    )
    return scores if terms.damages is None else score_damage(names, scores, terms.damages)
