"""Withdraws node labels whose daemon is stale, so that no selector matches an outdated label.

A dead daemon cannot remove its label. Its Lease is read again, without the watch, and must stay
unchanged for longer than a renewal takes: if our watch lags, nothing is withdrawn. A daemon that
returns sets its label again, and this change of the Node makes kube-scheduler retry the pods that
were refused meanwhile.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from extender.cache.node_entry import StaleLabel
from k40s.annotations import GIVE_BACK_LABEL, REAL_TIME_LABEL
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.records import LeaseRecord, NodeRecord
from k40s.kube.transport import ConflictError, NotFoundError, RefusedError
from k40s.units import NS_PER_S, Clock, Nanoseconds

_log = logging.getLogger(__name__)

PERIOD = Nanoseconds(5 * NS_PER_S)
AT_ONCE = 20
"""Labels withdrawn in one tick; the others wait for the next."""


class LabelledNodes(Protocol):
    """The Nodes and Leases of the cluster, read without a watch."""

    def get_node(self, name: str) -> NodeRecord | None:
        """The node's metadata, or None. Raises ``UnavailableError``."""

    def get_lease(self, namespace: str, name: str) -> LeaseRecord | None:
        """The Lease, or None. Raises ``UnavailableError``."""

    def remove_labels(self, name: str, labels: Sequence[str], *, version: str) -> None:
        """Remove labels from this version of a Node.

        Raises ``ConflictError`` where it has changed, ``NotFoundError``, ``UnavailableError``.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _FirstRead:
    """The renewal that a Lease had when it was first read, and when that was."""

    renewed: datetime | None
    since: int


FindStaleLabels = Callable[[], Sequence[StaleLabel]]
"""The stale labels as far as the watches have reported."""

CountLabel = Callable[[str], None]
"""Counts a label, by its key."""


class StaleLabels:
    """Withdraws stale labels, in ticks of one thread."""

    def __init__(
        self,
        *,
        find: FindStaleLabels,
        api: LabelledNodes,
        namespace: str,
        withdrawn: CountLabel,
        clock: Clock,
    ) -> None:
        """``withdrawn`` counts the labels that were withdrawn."""
        self._find = find
        self._api = api
        self._namespace = namespace
        self._withdrawn = withdrawn
        self._clock = clock
        self._first_reads: dict[StaleLabel, _FirstRead] = {}

    def tick(self) -> None:
        """Withdraws the labels that have been stale for long enough.

        One that fails is checked from the start again, so that it does not delay the others.
        """
        stale = self._find()
        self._first_reads = {
            label: self._first_reads[label] for label in stale if label in self._first_reads
        }
        count = 0
        for label in stale:
            if count >= AT_ONCE:
                return
            try:
                if self._is_lease_unchanged(label) and self._withdraw(label):
                    count += 1
            except ConflictError:  # the Node has changed meanwhile
                continue
            except (RefusedError, UnreadableError) as error:  # only this object is concerned
                self._give_up(label, error)
                count += 1
            except UnavailableError as error:
                self._give_up(label, error)
                return

    def _give_up(self, label: StaleLabel, error: UnavailableError) -> None:
        self._first_reads.pop(label, None)
        _log.warning("stale label not withdrawn", extra=_facts(label) | {"cause": str(error)})

    def _is_lease_unchanged(self, label: StaleLabel) -> bool:
        """Whether the Lease has stayed the same for longer than a renewal takes."""
        now, known = self._clock(), self._first_reads.get(label)
        if known is not None and now < known.since + label.lease // 3:
            return False
        lease = self._api.get_lease(self._namespace, label.lease_name)
        renewed = None if lease is None else lease.renewed
        if known is None or known.renewed != renewed:
            self._first_reads[label] = _FirstRead(renewed=renewed, since=now)
            return False
        return True

    def _withdraw(self, label: StaleLabel) -> bool:
        node = self._api.get_node(label.node)
        if node is None or label.key not in node.labels or _is_given_back(node, label.key):
            return False
        try:
            self._api.remove_labels(label.node, (label.key,), version=node.resource_version)
        except NotFoundError:
            return False
        self._withdrawn(label.key)
        _log.warning("stale label withdrawn", extra=_facts(label))
        return True


def _is_given_back(node: NodeRecord, key: str) -> bool:
    """On such a node the give-back process removes the real-time label, when nothing is left."""
    return key == REAL_TIME_LABEL and node.labels.get(GIVE_BACK_LABEL) == "true"


def _facts(label: StaleLabel) -> dict[str, object]:
    return {"node": label.node, "label": label.key, "lease": label.lease_name}
