"""Claims of room on nodes: of pods that preempt others, and of pods that were just passed.

A pod that preempts carries its claim in the annotation ``status.k40s.io/preemption``; it ends when
the pod is bound or gone, or at its time. What this process has just passed for a pod group, or is
binding to a claimed node, is held here alone, and for seconds.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extender.cache.workloads import Contract, WorkloadCache
from k40s.annotations import PREEMPTION_KEY
from k40s.annotations.preemption import parse_claim
from k40s.cpu.workload import Workload
from k40s.errors import InvalidAnnotationError
from k40s.kube.records import PodRecord
from k40s.kube.watching.feed import Feed
from k40s.units import NS_PER_S, Nanoseconds, WallClock

_log = logging.getLogger(__name__)

MOMENT = Nanoseconds(5 * NS_PER_S)
"""How long a pod that was just passed is held for. Longer than a bind may take."""
_LONGEST = 3600 * NS_PER_S
"""No claim holds longer after it was first seen, whatever it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomClaim:
    """Room for a pod on a node, once its ``victims`` are gone, until then (ns since 1970).

    ``passed``: this process has just passed the pod to the node, beside those victims.
    ``namespace`` is the pod's, and ``at`` when it was claimed; "" and 0 for one that was passed.
    """

    uid: str
    node: str
    contract: Contract
    workload: Workload
    until: int
    victims: frozenset[str] = frozenset()
    passed: bool = False
    namespace: str = ""
    at: int = 0


class ClaimTable:
    """Fed by an informer of pods; any thread may call.

    ``by_node`` is the same object always, and empty while nobody claims anything.
    """

    def __init__(self, workloads: WorkloadCache, *, wall: WallClock) -> None:
        self._workloads = workloads
        self._wall = wall
        self._lock = threading.Lock()
        self._claimed: dict[str, RoomClaim] = {}
        self._passed: dict[str, RoomClaim] = {}
        self.by_node: dict[str, tuple[RoomClaim, ...]] = {}
        self.feed = Feed(self.replace, self.merge, self.upsert, self.delete)

    def on(self, node: str) -> tuple[RoomClaim, ...]:
        """The claims on a node that hold at present, one of a pod; the oldest first."""
        held = self.by_node.get(node, ())
        now = self._now()
        if any(claim.until <= now for claim in held):
            with self._lock:
                self._expire(now)
                held = self.by_node.get(node, ())
        return held

    def before(self, uid: str) -> list[RoomClaim]:
        """Claims of pods that preempt and that hold, but for this pod's and any after that."""
        now = self._now()
        with self._lock:
            own = self._claimed.get(uid)
            return [
                one
                for one in self._claimed.values()
                if one.until > now
                and one.uid != uid
                and (own is None or (one.at, one.uid) < (own.at, uid))
            ]

    def hold(self, uid: str, node: str, contract: Contract) -> None:
        """Holds room for a pod that was just passed to that node."""
        if contract.workload is None or not contract.workload.is_real_time:
            return
        with self._lock:
            now = self._now()
            self._expire(now)
            self._put(
                self._passed,
                RoomClaim(
                    uid=uid,
                    node=node,
                    contract=contract,
                    workload=contract.workload,
                    until=now + MOMENT,
                    passed=True,
                ),
            )

    def release(self, uid: str) -> None:
        """A pod that was passed will not be bound after all."""
        if uid in self._passed:
            with self._lock:
                self._take(self._passed, uid)

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Takes all pods."""
        with self._lock:
            listed = {record.uid for record in records}
            for uid in [*self._claimed, *self._passed]:
                if uid not in listed:
                    self._forget(uid)
        self.merge(records)

    def merge(self, records: Sequence[PodRecord]) -> None:
        """Adds or updates pods from an incomplete list."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodRecord) -> None:
        """Takes a pod, with the claim that it carries."""
        text = record.annotations.get(PREEMPTION_KEY)
        if text is None and record.uid not in self._claimed:
            return
        if text is None or record.node or record.ended or record.deleting:
            with self._lock:
                self._take(self._claimed, record.uid)
            return
        claim = self._read(record, text)
        with self._lock:
            if claim is None:
                self._take(self._claimed, record.uid)
            else:
                self._put(self._claimed, claim)

    def delete(self, uid: str) -> None:
        """The pod is gone."""
        if uid in self._claimed or uid in self._passed:
            with self._lock:
                self._forget(uid)

    def _read(self, record: PodRecord, text: str) -> RoomClaim | None:
        """The claim; None for one that cannot be understood, or of a pod that may not have one."""
        try:
            claim = parse_claim(text)
        except InvalidAnnotationError as error:
            facts = {"namespace": record.namespace, "pod": record.name, "uid": record.uid}
            _log.warning("claim refused", extra=facts | {"cause": str(error)})
            return None
        contract = self._workloads.read_pod(record)
        if contract.workload is None or not contract.workload.is_real_time:
            return None
        return RoomClaim(
            uid=record.uid,
            node=claim.node,
            contract=contract,
            workload=contract.workload,
            until=min(claim.until, self._now() + _LONGEST),
            victims=claim.uids,
            namespace=record.namespace,
            at=claim.at,
        )

    def _forget(self, uid: str) -> None:
        self._take(self._claimed, uid)
        self._take(self._passed, uid)

    def _expire(self, now: int) -> None:
        for table in (self._claimed, self._passed):
            for uid in [uid for uid, claim in table.items() if claim.until <= now]:
                self._take(table, uid)

    def _put(self, table: dict[str, RoomClaim], claim: RoomClaim) -> None:
        self._take(table, claim.uid)
        table[claim.uid] = claim
        self._index(claim.node)

    def _take(self, table: dict[str, RoomClaim], uid: str) -> None:
        claim = table.pop(uid, None)
        if claim is not None:
            self._index(claim.node)

    def _index(self, node: str) -> None:
        """A pod's own claim comes before what was passed for it."""
        found = {claim.uid: claim for claim in self._all_on(node, self._passed)}
        found |= {claim.uid: claim for claim in self._all_on(node, self._claimed)}
        if found:
            self.by_node[node] = tuple(found.values())
        else:
            self.by_node.pop(node, None)

    @staticmethod
    def _all_on(node: str, table: dict[str, RoomClaim]) -> Iterator[RoomClaim]:
        return (claim for claim in table.values() if claim.node == node)

    def _now(self) -> int:
        return int(self._wall().timestamp() * NS_PER_S)
