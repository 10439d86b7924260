"""The whole admission of a pod on one node as if some pods were gone.

The node's published state loses their reservations, the Networks their entries, the stations the
channels of their slots; then the same ``PodAdmission`` decides that filter asks. CPU is tested
here or not at all: a node whose state is not complete, or whose test is not installed, can only be
asked about itself as it is, so it is refused. Nothing is cached for other calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from extender.cache.networks import NetworkTable
from extender.cache.pod_places import PodPlaces
from extender.cache.snapshot import NodeView, Snapshot
from extender.cache.workloads import Contract
from extender.placement.admission_cache import FindTest, may_hold
from extender.placement.candidates import Verdict, run_test
from extender.placement.network_admission import NetworkAdmission
from extender.placement.pod_admission import ConditionalCheck, PodAdmission
from extender.preemption.removal import NetworksWithout, view_without, without
from extender.protocol import PodFacts
from k40s.annotations import UID_LENGTH
from k40s.cpu.admission.necessary_condition import find_lacking_bandwidth, may_fit
from k40s.cpu.model import CpuNode, PodDemand, total_bandwidth
from k40s.cpu.workload import Workload, resolve
from k40s.node_api.messages import PodRef
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds

Uids = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """A pod that wants room, and what it declares."""

    pod: PodFacts
    contract: Contract
    workload: Workload


class Trials:
    """Makes trials. Any thread may call."""

    def __init__(
        self,
        *,
        tests: FindTest,
        networks: NetworkTable,
        places: PodPlaces,
        checks: Sequence[ConditionalCheck],
        clock: Clock,
        patience: Nanoseconds,
    ) -> None:
        """``patience`` bounds the searches of networks of one trial."""
        self._real_time = _ExactVerdicts(tests)
        self._networks = networks
        self._places = places
        self._checks = checks
        self._clock = clock
        self._patience = patience

    def on(self, snapshot: Snapshot, node: str, asked: Applicant, gone: Uids) -> "NodeTrial":
        """A trial on a node of the snapshot that these pods have left, or are leaving."""
        return NodeTrial(self, snapshot, snapshot.nodes[node], asked, gone)

    def refusal(
        self, snapshot: Snapshot, view: NodeView, asked: Applicant, gone: Uids
    ) -> Reason | None:
        """Why the node refuses the pod even without those that are gone, None where it fits."""
        networks = NetworksWithout(self._networks, asked.contract, gone)
        admission = PodAdmission(
            real_time=self._real_time,
            networks=NetworkAdmission(
                networks=networks,
                places=self._places,
                counters=None,
                clock=self._clock,
                patience=self._patience,
            ),
            checks=self._checks,
        )
        reduced = replace(snapshot, nodes={view.name: view_without(view, networks, gone)})
        split = admission.split(reduced, [view.name], asked.pod, asked.contract, asked.workload)
        return split.refused.get(view.name)

    def holders(self, asked: Applicant, node: str) -> frozenset[str]:
        """UIDs of the pods that hold on the node a part of a network that the pod requires."""
        required = {one.network for one in asked.contract.requirements}
        return frozenset(
            held.owner.uid
            for name, state in self._networks.states().items()
            if name in required
            for held in state.reservations
            if held.node == node
        )


class NodeTrial:
    """One pod on one node. ``gone`` have left in any case."""

    def __init__(
        self, trials: Trials, snapshot: Snapshot, view: NodeView, asked: Applicant, gone: Uids
    ) -> None:
        self._trials = trials
        self._snapshot = snapshot
        self._view = view
        self._asked = asked
        self._gone = gone
        self._holders = trials.holders(asked, view.name) if asked.contract.requirements else Uids()

    def fits(self, victims: Uids = frozenset()) -> bool:
        """Whether the whole admission passes without the victims."""
        gone = self._gone | victims
        return self._trials.refusal(self._snapshot, self._view, self._asked, gone) is None

    def may_fit(self, victims: Uids = frozenset()) -> bool:
        """The necessary condition on bandwidth, without the victims. Monotone in them."""
        if not self._asked.workload.is_real_time:
            return True
        case = self._without(victims)
        if case is None:
            return False
        node, demand = case
        return may_fit(core_utilizations=node.utilizations(), node=node, demand=demand) is None

    def lacking(self) -> Fraction:
        """The least bandwidth that victims have to give back."""
        case = self._without(frozenset()) if self._asked.workload.is_real_time else None
        if case is None:
            return Fraction(0)
        node, demand = case
        return find_lacking_bandwidth(
            core_utilizations=node.utilizations(), node=node, demand=demand
        )

    def _without(self, victims: Uids) -> tuple[CpuNode, PodDemand] | None:
        """The node without them, and the demand; None where they cannot be told."""
        state = self._view.cpu
        if state is None or not state.complete:
            return None
        node = without(state.node, self._gone | victims)
        demand = resolve(
            self._asked.workload,
            pod_uid=own_uid(self._view, self._asked.pod.uid),
            platform=node.platform,
            factor=node.platform_factor,
        )
        return None if isinstance(demand, Reason) else (node, demand)

    def held_by(self, uid: str) -> Fraction | None:
        """The CPU bandwidth that a pod holds here; None if it holds nothing that is asked for."""
        state, prefix = self._view.cpu, uid[:UID_LENGTH]
        held = state.node.reservations if state is not None else ()
        own = [one for one in held if one.pod_uid[:UID_LENGTH] == prefix]
        if not (own and self._asked.workload.is_real_time) and uid not in self._holders:
            return None
        return total_bandwidth(own)


class _ExactVerdicts:
    """Admission tests on the states as they are handed in."""

    def __init__(self, tests: FindTest) -> None:
        self._tests = tests

    def verdicts(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodRef,
        contract: Contract,
        workload: Workload,
    ) -> Mapping[str, Verdict]:
        """The verdict of each named node."""
        del contract
        return {name: self._verdict(snapshot.nodes[name], pod.uid, workload) for name in names}

    def _verdict(self, view: NodeView, uid: str, workload: Workload) -> Verdict:
        state = view.cpu
        if state is None:
            return Verdict(reason=view.cpu_refusal or Reason.CPU_STATE_UNKNOWN)
        test = self._tests(state.test)
        if test is None or not state.complete:
            return Verdict(reason=Reason.CPU_NO_ANSWER, exact=False)
        demand = resolve(
            workload,
            pod_uid=own_uid(view, uid),
            platform=state.node.platform,
            factor=state.node.platform_factor,
        )
        if isinstance(demand, Reason):
            return Verdict(reason=demand)
        return run_test(test, state.node, demand)


def own_uid(view: NodeView, uid: str) -> str:
    """The UID by which a pod that may hold something is tested for itself."""
    prefix = uid[:UID_LENGTH]
    return prefix if may_hold(view, prefix) else ""
