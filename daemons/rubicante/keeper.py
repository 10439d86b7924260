"""Rubicante's loops: enforce, keep the book true to the pods, publish, beat."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from daemons.rubicante.book import Book
from daemons.rubicante.enforcer import Enforcer
from daemons.rubicante.kernel.watch import DirectoryWatch
from daemons.rubicante.mechanisms import Mechanisms
from daemons.rubicante.metrics import BookMetrics, EnforcementMetrics
from daemons.rubicante.pods import NodePods
from daemons.rubicante.reservations import Reservations
from daemons.rubicante.state import NodeState, describe_node
from k40s.errors import InvalidAnnotationError, UnavailableError
from k40s.runtime.publisher import NodeWriter, Publisher

if TYPE_CHECKING:
    from daemons.rubicante.kernel.mechanism import Stray

log = logging.getLogger(__name__)

_STUCK_SECONDS = 30.0
_PAUSE_SECONDS = 2.0
"""After the API server did not answer."""
_ADOPTION_SECONDS = 10.0
"""Between two attempts to reserve for a pod that was refused."""


class EnforcementLoop:
    """Looks when a cgroup appears, when the book changes, and when the enforcer asks for it."""

    def __init__(
        self, *, enforcer: Enforcer, watch: DirectoryWatch, clock: Callable[[], float]
    ) -> None:
        self._enforcer = enforcer
        self._watch = watch
        self._clock = clock
        self.looked = clock()

    def tick(self) -> None:
        """One look, then wait for the next reason to look."""
        delay = self._enforcer.look()
        self.looked = self._clock()
        added = self._watch.follow(self._enforcer.watched())  # what appeared before they were?
        self._enforcer.hear(added or self._watch.wait(delay))

    def wake(self) -> None:
        """Look at once; from any thread."""
        self._watch.ring()

    def trouble(self) -> str | None:
        """Whether looks have stopped."""
        if self._clock() - self.looked > _STUCK_SECONDS:
            return "the enforcer has not looked for 30 s"
        return None


class Keeper:
    """Everything on a timer beside enforcement."""

    def __init__(
        self,
        *,
        name: str,
        mechanisms: Mechanisms,
        gateway: NodeWriter,
        book: Book,
        pods: NodePods,
        synchronized: threading.Event,
        reservations: Reservations,
        enforcer: Enforcer,
        state: NodeState,
        publisher: Publisher,
        metrics: tuple[BookMetrics, EnforcementMetrics],
        trouble: Callable[[], str | None],
        clock: Callable[[], float],
        beat_period: float,
    ) -> None:
        self._name = name
        self._mechanisms = mechanisms
        self._gateway = gateway
        self._book = book
        self._pods = pods
        self._synchronized = synchronized
        self._reservations = reservations
        self._enforcer = enforcer
        self._state = state
        self._publisher = publisher
        self._book_metrics, self._metrics = metrics
        self._trouble = trouble
        self._described = False
        self._published: int | None = None
        self._clock = clock
        self._beat_period = beat_period
        self._beat_due = clock()
        self._pause_end = clock()
        self._refused: dict[str, float] = {}
        self.strays: tuple[Stray, ...] = ()

    def keep(self) -> None:
        """Open the book once node and pods are known; then expire, adopt and sweep."""
        if not self._described or not self._synchronized.is_set() or self._pauses():
            return
        try:
            self._reservations.settle()
            unreserved = self._adopt()
        except UnavailableError as error:
            self._pause("leases not settled", error)
            return
        self._metrics.unreserved.set(unreserved)
        if not self._reservations.is_open:
            self.strays = self._enforcer.sweep()
            self._reservations.open()
            log.info(
                "reconciled",
                extra={
                    "reservations": len(self._book.entries()),
                    "unreserved": unreserved,
                    "orphans": len(self.strays),
                },
            )
        else:
            self.strays = self._enforcer.sweep()

    def _adopt(self) -> int:
        """Reserve for pods that the book lost; how many of them hold nothing even so."""
        now, present = self._clock(), self._pods.records()
        uids = {pod.uid for pod in present}
        self._refused = {uid: due for uid, due in self._refused.items() if uid in uids}
        for pod in present:
            if self._refused.get(pod.uid, now) > now:
                continue
            self._refused.pop(pod.uid, None)
            if not self._reservations.adopt(pod):
                self._refused[pod.uid] = now + _ADOPTION_SECONDS
        return len(self._refused)

    def look_at_kernel(self) -> None:
        """Where the kernel refused what was offered, find out what it offers, to publish that."""
        if not self._mechanisms.is_due():
            return
        with self._book.lock:
            known = self._book.node()
            self._mechanisms.look(known.reservations)
            found = self._mechanisms.node()
            self._book.describe(
                replace(found, platform=known.platform, platform_factor=known.platform_factor),
                anew=self._reservations.kernel_refused.is_set(),
            )
            self._reservations.kernel_refused.clear()

    def publish(self) -> None:
        """Write the node's state where it differs from what is written."""
        generation = self._book.generation
        if not self._reservations.is_open or self._published == generation or self._pauses():
            return
        self._book_metrics.show(self._book.node())
        try:
            self._publisher.publish(
                annotations=self._state.annotations(), labels=self._state.labels()
            )
        except UnavailableError as error:
            self._published = None
            self._pause("not published", error)
        else:
            self._published = generation

    def beat(self) -> None:
        """Read the node's platform, check what is published, and renew the lease if all is well.

        Does nothing while the last beat is good for two thirds of the lease.
        """
        if self._clock() < self._beat_due or self._pauses():
            return
        try:
            record = self._gateway.get_node(self._name)
            if record is None:
                log.warning("the node does not exist", extra={"node": self._name})
                return
            with self._book.lock:  # or a look at the kernel meanwhile would be undone
                self._book.describe(describe_node(self._mechanisms.node(), record))
            self._described = True
            if self._published is not None and not self._publisher.verify():
                self._published = None
            trouble = self._trouble() or self.trouble()
            if trouble is None:
                self._publisher.beat()
                self._beat_due = self._clock() + self._beat_period
            elif self._published is not None:
                log.warning("no heartbeat", extra={"cause": trouble})
        except InvalidAnnotationError as error:
            self._described = False
            log.warning("the node's platform is not understood", extra={"cause": str(error)})
        except UnavailableError as error:
            self._pause("no heartbeat", error)

    def _pauses(self) -> bool:
        return self._clock() < self._pause_end

    def _pause(self, text: str, error: UnavailableError) -> None:
        """Say it, and leave the API server (or the store) alone for a while."""
        self._pause_end = self._clock() + _PAUSE_SECONDS
        log.warning(text, extra={"cause": str(error)})

    def trouble(self) -> str | None:
        """Why the daemon is not ready, if it is not."""
        if not self._described:
            return "the node's platform is not known yet"
        if not self._synchronized.is_set():
            return "the node's pods are not known yet"
        if self._published is None:
            return "the node's state is not published"
        return None
