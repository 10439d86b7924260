"""Isolation by criticality: the pod's RuntimeClass is the one that its criticality needs.

The paper has critical jobs run behind hypervisor-based containers (section III). Which RuntimeClass
that is, the operator says by ``K40S_RUNTIME_CLASSES``; without it nothing here is entered.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.protocol import PodFacts
from k40s.criticality import Criticality
from k40s.reasons import Reason


class Runtimes(Protocol):
    """Which nodes can run a RuntimeClass. Any thread may call."""

    def nodes_with(self, runtime_class: str) -> AbstractSet[str]:
        """Names of the nodes that have its handler; none for a class that does not exist."""
        ...


class Isolation:
    """A ``Check`` of filter and dry run; bind asks for the one node. Any thread may call."""

    def __init__(self, *, classes: Mapping[Criticality, str], runtimes: Runtimes) -> None:
        """``classes`` has the RuntimeClass of each criticality that needs one."""
        self._classes = classes
        self._runtimes = runtimes

    def refusals(
        self, snapshot: Snapshot, names: Sequence[str], pod: PodFacts, contract: Contract
    ) -> Mapping[str, Reason]:
        """The nodes among ``names`` that the pod may not run on."""
        del snapshot  # runtimes are beside it
        if contract.workload is None:
            return {}
        return self._refusals(names, pod.runtime_class, contract.workload.criticality)

    def refusal(self, node: str, runtime_class: str, criticality: Criticality) -> Reason | None:
        """Why the node is refused, if it is."""
        return self._refusals([node], runtime_class, criticality).get(node)

    def _refusals(
        self, names: Sequence[str], runtime_class: str, criticality: Criticality
    ) -> Mapping[str, Reason]:
        needed = self._classes.get(criticality)
        if needed is None:
            return {}
        if runtime_class != needed:
            return dict.fromkeys(names, Reason.ISOLATION_CLASS)
        having = self._runtimes.nodes_with(needed)
        lacking = [name for name in names if name not in having]
        return dict.fromkeys(lacking, Reason.ISOLATION_NO_RUNTIME)
