"""Refuses a pod where it would take the room that another pod claims. One of filter's checks.

The pod is admitted on the node, with its victims there and without, after those that were just
passed to it. Then the victims are taken away, and the claimants admitted one after the other:
whoever fits without the pod has to fit beside it. The order is that in which it would happen,
because a server that has grown for a victim does not shrink when that one leaves. What an exchange
of servers leaves to claimants is not worked out: a pod that needs one goes elsewhere.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from extender.cache.claims import ClaimTable, RoomClaim
from extender.cache.snapshot import NodeView, Snapshot
from extender.cache.workloads import Contract, Signature
from extender.placement.admission_cache import FindTest
from extender.preemption.removal import without
from extender.protocol import PodFacts
from k40s.annotations import UID_LENGTH, CpuState
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import Admit, Rejection
from k40s.cpu.workload import Workload, resolve
from k40s.reasons import Reason

_MOST = 1024

_Key = tuple[str, Signature]


class HeldRoom:
    """Any thread may call. Real-time CPU is held, not networks."""

    def __init__(self, *, claims: ClaimTable, tests: FindTest) -> None:
        self._claims = claims
        self._tests = tests
        self._lock = threading.Lock()
        self._binding = threading.Lock()
        self._known: OrderedDict[_Key, tuple[CpuState, tuple[RoomClaim, ...], bool]] = OrderedDict()

    def refusals(
        self, snapshot: Snapshot, names: Sequence[str], pod: PodFacts, contract: Contract
    ) -> Mapping[str, Reason]:
        """The nodes among ``names`` where a claim of at least the same criticality would suffer."""
        workload = contract.workload
        if workload is None or not workload.is_real_time:
            return {}
        claimed = list(self._claims.by_node)
        return {
            name: Reason.CLAIM_HELD
            for name in set(claimed).intersection(names)
            if not self._leaves_room(snapshot.nodes.get(name), name, pod.uid, contract, workload)
        }

    def admit_bind(
        self, snapshot: Snapshot, node: str, uid: str, contract: Contract
    ) -> Reason | None:
        """Refuses a bind that would take claimed room, else holds the pod's own room meanwhile.

        So of two binds at once the second sees the first, before the node publishes it.
        """
        workload = contract.workload
        if node not in self._claims.by_node or workload is None or not workload.is_real_time:
            return None
        with self._binding:
            if not self._leaves_room(snapshot.nodes.get(node), node, uid, contract, workload):
                return Reason.CLAIM_HELD
            self._claims.hold(uid, node, contract)
            return None

    def decided_by(self, view: NodeView | None, uid: str, contract: Contract) -> int | None:
        """The generation of the node's state by which a bind beside others' claims was decided.

        The node refuses the bind in any other: so two replicas cannot give away the same room.
        None where nobody else claims room there.
        """
        workload = contract.workload
        if view is None or view.cpu is None or workload is None or not workload.is_real_time:
            return None
        claims = self._claims_of_others(view.name, uid, workload)
        claimed = any(not claim.passed for claim in claims)
        return view.cpu.generation if claimed and not _holds(view.cpu.node, uid) else None

    def _claims_of_others(self, name: str, uid: str, workload: Workload) -> tuple[RoomClaim, ...]:
        return tuple(
            claim
            for claim in self._claims.on(name)
            if claim.uid != uid and claim.workload.criticality >= workload.criticality
        )

    def _leaves_room(
        self, view: NodeView | None, name: str, uid: str, contract: Contract, workload: Workload
    ) -> bool:
        claims = self._claims_of_others(name, uid, workload)
        if not claims or view is None or view.cpu is None:
            return True
        state = view.cpu
        test = self._tests(state.test)
        if test is None or not state.complete:
            return False  # nobody can tell, so what is claimed stays free
        if _holds(state.node, uid):
            return True  # what it takes is taken already
        key = (name, contract.signature)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] is state and known[1] == claims:
            return known[2]
        leaves = leaves_room(test, state.node, workload, claims)
        with self._lock:
            self._known[key] = (state, claims, leaves)
            self._known.move_to_end(key)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return leaves


def leaves_room(
    test: Admit, node: CpuNode, workload: Workload, claims: Sequence[RoomClaim]
) -> bool:
    """Whether all claimants that fit without a pod fit beside it as well.

    Those that were just passed have to fit together with it. The victims may have left the node
    already without its having published that, so both are tried.
    """
    claimants = [claim for claim in claims if not claim.passed]
    gone = frozenset().union(*(claim.victims for claim in claimants))
    emptied = without(node, gone)
    starts = [node] if emptied is node else [node, emptied]
    return all(_is_kept(test, start, workload, claims, gone) for start in starts)


def _is_kept(
    test: Admit,
    node: CpuNode,
    workload: Workload,
    claims: Sequence[RoomClaim],
    gone: frozenset[str],
) -> bool:
    before = node
    for claim in claims:
        if claim.passed and not _holds(node, claim.uid):
            before = _place(test, before, claim.workload, claim.uid) or before
    beside = _place(test, before, workload, "")
    if beside is None:
        return False  # those that were passed take its room, or servers are exchanged for it
    claimants = [claim for claim in claims if not claim.passed]
    fitting = _fitting(test, without(before, gone), claimants)
    return fitting <= _fitting(test, without(beside, gone), claimants)


def _fitting(test: Admit, node: CpuNode, claims: Sequence[RoomClaim]) -> frozenset[str]:
    """The claimants that find room, one after the other."""
    fitting = set()
    for claim in claims:
        after = node if _holds(node, claim.uid) else _place(test, node, claim.workload, claim.uid)
        if after is not None:
            fitting.add(claim.uid)
            node = after
    return frozenset(fitting)


def _holds(node: CpuNode, uid: str) -> bool:
    return any(held.pod_uid == uid[:UID_LENGTH] for held in node.reservations)


def _place(test: Admit, node: CpuNode, workload: Workload, uid: str) -> CpuNode | None:
    """The node with that pod, None where it is refused."""
    demand = resolve(
        workload, pod_uid=uid[:UID_LENGTH], platform=node.platform, factor=node.platform_factor
    )
    if isinstance(demand, Reason):
        return None
    outcome = test(node, demand)
    return None if isinstance(outcome, Rejection) else outcome.node
