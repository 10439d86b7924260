"""Publication on the Node: the CPU state, the label, and the condition for its Lease."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from daemons.rubicante.book.book import Book
from daemons.rubicante.cluster.node_state import NodeState, describe_node
from daemons.rubicante.cluster.pod_events import EventReason
from daemons.rubicante.mechanisms.node import Mechanisms
from daemons.rubicante.mechanisms.timer.hrtick import FeatureState
from daemons.rubicante.mechanisms.timer.lateness import BOUNDS
from daemons.rubicante.metrics import BookMetrics, TimerMetrics
from k40s.errors import InvalidAnnotationError
from k40s.kube.records import NodeRecord
from k40s.node_agent.publication import NodeKeys

log = logging.getLogger(__name__)

_LOST = (
    "the scheduler feature HRTICK_DL was switched off by another program: SCHED_DEADLINE budgets "
    "are overrun by up to two ticks, and what was admitted on it may miss deadlines"
)

Health = Callable[[], str | None]
"""Why the process should be restarted, if it should."""


class NodeEvents(Protocol):
    """Events on the Node; implemented by ``PodEvents``."""

    def add_node(self, reason: EventReason, text: str) -> bool:
        """Queue one."""
        ...


class ReservationService(Protocol):
    """The part of the reservations' service that publication uses."""

    kernel_refused: threading.Event
    """Set when the kernel has not granted what the book admitted."""

    @property
    def is_open(self) -> bool:
        """Whether the book agrees with node and pods."""


class CpuReport:
    """Implements ``NodeReport``. Each generation of the book is published once.

    ``described`` is set while the Node's platform is known, ``synchronized`` once its pods are.
    """

    def __init__(
        self,
        *,
        mechanisms: Mechanisms,
        book: Book,
        reservations: ReservationService,
        state: NodeState,
        described: threading.Event,
        synchronized: threading.Event,
        health: Health,
        metrics: BookMetrics,
    ) -> None:
        self._mechanisms = mechanisms
        self._book = book
        self._reservations = reservations
        self._state = state
        self._described = described
        self._synchronized = synchronized
        self._health = health
        self._metrics = metrics
        self._generation: int | None = None
        self._contents = NodeKeys()

    def read(self, record: NodeRecord) -> bool:
        """Take over the node's platform; one that is invalid makes the node unready."""
        try:
            with self._book.lock:  # or a concurrent refresh of the offer would be undone
                self._book.describe(describe_node(self._mechanisms.node(), record))
        except InvalidAnnotationError as error:
            self._described.clear()
            log.warning("invalid platform annotation", extra={"cause": str(error)})
            return False
        self._described.set()
        return True

    def contents(self) -> NodeKeys | None:
        """The state of the book's generation; None until the book agrees with node and pods."""
        if not self._reservations.is_open:
            return None
        generation = self._book.generation
        if generation != self._generation:
            self._metrics.show(self._book.standing())
            self._contents = NodeKeys(
                annotations=self._state.annotations(), labels=self._state.labels()
            )
            self._generation = generation
        return self._contents

    def confirm(self, *, wrote: bool) -> None:
        """Nothing depends on it."""

    def trouble(self) -> str | None:
        """Why the Lease must not be renewed, if it must not."""
        return self._health() or self.unready()

    def unready(self) -> str | None:
        """The node's object that is not known yet, if any."""
        if not self._described.is_set():
            return "the node's platform is not known yet"
        if not self._synchronized.is_set():
            return "the node's pods are not known yet"
        return None


class OfferRefresh:
    """Finds the node's capability again after the kernel refused what was offered.

    ``events`` tells the Node's readers of a timer that was lost.
    """

    def __init__(
        self,
        *,
        mechanisms: Mechanisms,
        book: Book,
        reservations: ReservationService,
        events: NodeEvents,
        metrics: TimerMetrics,
    ) -> None:
        self._mechanisms = mechanisms
        self._book = book
        self._reservations = reservations
        self._events = events
        self._metrics = metrics
        self._losses = 0
        self._show()

    def measure(self) -> None:
        """Measure how late budgets end, if that is due; no lock is held meanwhile."""
        self._mechanisms.measure(lambda: self._book.standing().reservations)

    def refresh(self) -> None:
        """When due, update the book's node from the kernel's present capability."""
        if not self._mechanisms.is_due():
            return
        with self._book.lock:
            known = self._book.standing()
            self._mechanisms.look(known.reservations)
            found = self._mechanisms.node()
            self._book.describe(
                replace(found, platform=known.platform, platform_factor=known.platform_factor),
                invalidate=self._reservations.kernel_refused.is_set(),
            )
            self._reservations.kernel_refused.clear()
        self._show()

    def _show(self) -> None:
        timer, offer = self._mechanisms.timer(), self._mechanisms.capability.deadline
        if timer is None:
            return
        if timer.losses > self._losses:
            self._losses = timer.losses
            again = "; it is on again" if timer.hrtick.state is FeatureState.ON else ""
            self._events.add_node(EventReason.TIMER_LOST, f"{_LOST}{again}")
        self._metrics.show(
            state=timer.hrtick.state.value,
            permitted=timer.permitted,
            losses=timer.losses,
            lateness={
                "counted": None if offer is None else offer.tick,
                "bound": BOUNDS[timer.model],
                "user": timer.measured.user,
                "calls": timer.measured.calls,
                "wake-ups": timer.measured.by_calls,
            },
        )
