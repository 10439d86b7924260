"""Publishes a daemon's node annotations on change, with a Lease as heartbeat.

Every Node update wakes all pods that an extender has refused, so the heartbeat must not be one: it
is the renewal of a coordination Lease. A renewal wakes nobody, so a daemon that was away for longer
than its Lease lasts writes its Node once when it is back: pods that were refused because it was
silent are tried again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from k40s.errors import UnavailableError
from k40s.kube.records import NodeCondition, NodeRecord
from k40s.kube.transport import NotFoundError
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.publisher import NodeWriter, Publisher
from k40s.units import NS_PER_MS, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

NOT_PUBLISHED = "the node's state is not published"
_BEATS_PER_LEASE = 3
_AFTER_RETURN = Nanoseconds(500 * NS_PER_MS)
"""Between the first renewal of a daemon that was away and its write of the Node: the extender
watches Leases and Nodes apart, and must not judge the pods that this wakes by the old Lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """Annotations and labels of a Node, of which None removes a key, and a condition, if any."""

    annotations: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    condition: NodeCondition | None = None


class NodeReport(Protocol):
    """A daemon's report on its node. All methods are called by the publication's loops."""

    def read(self, record: NodeRecord) -> bool:
        """Take over what the operator declares on the Node; False has it read again at once."""

    def contents(self) -> NodeKeys | None:
        """The contents to publish; None while there are none yet."""

    def confirm(self, *, wrote: bool) -> None:
        """The contents are on the Node; ``wrote`` when that took a write."""

    def trouble(self) -> str | None:
        """Why the Lease must not be renewed, if it must not."""


class NodePublication:
    """Keeps a report on the Node: reads the Node, writes changes, renews the Lease, each when due.

    A daemon with one loop calls ``tick``. One that publishes more often than it reads calls
    ``publish`` and ``beat``, from a loop each. Both read and renew every third of the lease.

    The annotation ``since_key`` says since when the Lease was renewed without a gap.
    """

    def __init__(
        self,
        *,
        report: NodeReport,
        gateway: NodeWriter,
        node: str,
        lease_namespace: str,
        lease_name: str,
        lease: Nanoseconds,
        since_key: str,
        backoff: Backoff,
        clock: Clock,
        now: WallClock = lambda: datetime.now(UTC),
    ) -> None:
        """The wall clock is shown in the annotation, and nothing depends on it."""
        self._report = report
        self._gateway = gateway
        self._node = node
        self._publisher = Publisher(
            gateway=gateway,
            node=node,
            lease_namespace=lease_namespace,
            lease_name=lease_name,
            lease=lease,
        )
        self._since_key = since_key
        self._backoff = backoff
        self._clock = clock
        self._now = now
        self._period = lease // _BEATS_PER_LEASE
        self._longest_gap = lease - self._period
        self._renewed: int | None = None
        self._since: tuple[str, int] | None = None
        """When the daemon was back, by the wall clock and by ``clock``."""
        self._read_due = self._beat_due = clock()
        self._held_back: str | None = None
        self.is_current = False

    def tick(self) -> None:
        """Read, publish and renew, each when it is due."""
        self._attempt(read=True, publish=True, renew=True)

    def publish(self) -> None:
        """Write what has changed."""
        self._attempt(publish=True)

    def beat(self) -> None:
        """Read the Node and renew the Lease, each when it is due."""
        self._attempt(read=True, renew=True)

    def trouble(self) -> str | None:
        """Whether the Node lacks the daemon's present report."""
        return None if self.is_current else NOT_PUBLISHED

    def _attempt(self, *, read: bool = False, publish: bool = False, renew: bool = False) -> None:
        if self._backoff.active:
            return
        try:
            if read:
                self._read()
            if publish:
                self._publish()
            if renew:
                self._renew()
        except UnavailableError as error:
            self._backoff.failed("API server unavailable", error)

    def _read(self) -> None:
        if self._clock() < self._read_due:
            return
        record = self._gateway.get_node(self._node)
        if not self._publisher.verify(record):
            self.is_current = False
        if record is None:
            raise self._no_node()
        self._backoff.succeeded()
        if self._report.read(record):
            self._read_due = self._clock() + self._period

    def _no_node(self) -> UnavailableError:
        return UnavailableError(f"there is no Node {self._node}")

    def _publish(self) -> None:
        contents = self._report.contents()
        if contents is None:
            return
        try:
            wrote = self._publisher.publish(
                annotations={**contents.annotations, **self._heartbeat()},
                labels=contents.labels,
                condition=contents.condition,
            )
        except UnavailableError:
            self.is_current = False
            raise
        except NotFoundError as error:
            self.is_current = False
            raise self._no_node() from error
        self.is_current = True
        if wrote:
            self._backoff.succeeded()
        self._report.confirm(wrote=wrote)

    def _renew(self) -> None:
        if self._clock() < self._beat_due:
            return
        trouble = self._report.trouble() or self.trouble()
        if trouble is None:
            self._publisher.beat()
            self._backoff.succeeded()
            self._note_renewal(self._clock())
        elif self.is_current and trouble != self._held_back:
            log.warning("no heartbeat", extra={"cause": trouble})
        self._held_back = trouble

    def _note_renewal(self, at: int) -> None:
        """Note when the Lease was renewed, and whether it may have run out before."""
        away = self._renewed is None or at - self._renewed > self._longest_gap
        self._renewed, self._beat_due = at, at + self._period
        if away:
            log.info("lease renewed after a gap")
            self._since = (f"{self._now():%Y-%m-%dT%H:%M:%SZ}", at)

    def _heartbeat(self) -> dict[str, str | None]:
        """The annotation on the heartbeat, once the first renewal has had its time to be seen."""
        since = self._since
        if since is None or self._clock() - since[1] < _AFTER_RETURN:
            return {}
        return {self._since_key: since[0]}
