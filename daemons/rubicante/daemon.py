"""Rubicante assembled: book, enforcement, monitoring, publication, API, and their loops."""

import logging
import threading
import time
from typing import Protocol

from flask import Flask
from prometheus_client import CollectorRegistry

from daemons.rubicante.api.app import create_app
from daemons.rubicante.api.reservations import Reservations
from daemons.rubicante.api.upkeep import Upkeep
from daemons.rubicante.book.book import Book, BookStore, FindExchange
from daemons.rubicante.book.exchanging import find_exchange_in_groups
from daemons.rubicante.cluster.enforced_condition import EnforcedConditions, PodConditionWriter
from daemons.rubicante.cluster.node_state import NodeState
from daemons.rubicante.cluster.pod_events import PodEvents
from daemons.rubicante.cluster.pods import NodePods, PodSource
from daemons.rubicante.cluster.publication import CpuReport, OfferRefresh
from daemons.rubicante.enforcement.enforcer import Enforcer
from daemons.rubicante.enforcement.loop import EnforcementLoop
from daemons.rubicante.kernel.directory_watch import DirectoryWatch
from daemons.rubicante.kernel.realtime_threads import ForeignThreads
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.usage import KernelUsage, may_charge_stolen_time
from daemons.rubicante.mechanisms.capability import Capability
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.node import Mechanisms, bare_node
from daemons.rubicante.metrics import (
    BookMetrics,
    EnforcementMetrics,
    ExchangeMetrics,
    FeedbackMetrics,
    ReconciliationMetrics,
    TimerMetrics,
)
from daemons.rubicante.monitoring.audit import Audit
from daemons.rubicante.monitoring.feedback import Feedback
from daemons.rubicante.monitoring.overrun_counts import OverrunCounts
from daemons.rubicante.settings import Settings
from k40s.admission_plugins.registry import load_admission_test
from k40s.annotations import CPU_STATE_SINCE_KEY
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.kube.events import EventWriter
from k40s.kube.list_watch import WatchSource
from k40s.kube.records import PodRecord
from k40s.kube.watching.informer import Informer
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.leases import rubicante_lease
from k40s.node_agent.loops import Loops
from k40s.node_agent.publication import NodePublication
from k40s.node_agent.publisher import NodeWriter
from k40s.units import NS_PER_MS, NS_PER_S, MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)

_LOOK = Nanoseconds(NS_PER_MS)
_PUBLISH = Nanoseconds(100 * NS_PER_MS)
_UPKEEP = Nanoseconds(500 * NS_PER_MS)
_FEEDBACK = Nanoseconds(NS_PER_S)
_LATENESS = Nanoseconds(10 * NS_PER_S)
_PAUSE = Nanoseconds(2 * NS_PER_S)
"""After the API server or the store was unavailable."""
_JOIN_SECONDS = 5.0


class Gateway(PodSource, NodeWriter, EventWriter, PodConditionWriter, Protocol):
    """The part of the API server that rubicante uses."""


class Daemon:
    """Everything below the HTTP server. Build it in the process that serves."""

    def __init__(
        self,
        settings: Settings,
        *,
        system: System,
        gateway: Gateway,
        pods: WatchSource[PodRecord],
        store: BookStore,
        deadline: DeadlineAccess | None = None,
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        """Ask the kernel what it can do. Without ``deadline`` there is no SCHED_DEADLINE.

        Raises ``UnavailableError`` for a store and ``AdmissionTestError`` for a schedulability
        test that cannot be used.
        """

        def nanoseconds() -> int:
            return round(clock() * NS_PER_S)

        self.registry = CollectorRegistry()
        self.stop = threading.Event()
        book_metrics = BookMetrics(self.registry)
        metrics = EnforcementMetrics(self.registry)
        exchange_metrics = ExchangeMetrics(self.registry)
        feedback_metrics = FeedbackMetrics(self.registry)
        audit_metrics = ReconciliationMetrics(self.registry)
        self._loops = Loops(stop=self.stop, on_error=book_metrics.errors.inc)
        backoff = Backoff(pause=_PAUSE, clock=nanoseconds)
        described = threading.Event()
        """The node's platform is known."""

        self.book = Book(
            store=store,
            node=bare_node(settings),
            admit=book_metrics.timed(load_admission_test(settings.admission_test)),
            lease=settings.reservation_lease,
            clock=nanoseconds,
            find_exchange=self._exchange_search(settings),
        )
        self.mechanisms = Mechanisms(
            settings,
            system=system,
            access=deadline,
            held=self.book.standing().reservations,
            stop=self.stop,
            clock=clock,
        )
        self._enforces = not self._why_not_enforceable()
        self.book.describe(self.mechanisms.node())
        self._watch = DirectoryWatch()
        self.pods = NodePods(book=self.book, changed=self._watch.ring)
        self.enforcer = Enforcer(
            book=self.book,
            back_ends=self.mechanisms.back_ends,
            statuses=self.pods,
            metrics=metrics,
            exchange_metrics=exchange_metrics,
            clock=clock,
        )
        self.loop = EnforcementLoop(enforcer=self.enforcer, watch=self._watch, clock=clock)
        self.informer = Informer(
            name="pods",
            source=pods,
            handler=self.pods,
            stop=self.stop,
            on_error=book_metrics.errors.inc,
            on_unreadable=audit_metrics.unreadable.labels(kind="pods").inc,
        )
        self.reservations = Reservations(
            node=settings.node_name,
            book=self.book,
            pods=gateway,
            enforcer=self.enforcer,
            changed=self.loop.wake,
            metrics=book_metrics,
            exchange_metrics=exchange_metrics,
            why_not_enforceable=self._why_not_enforceable,
        )
        self.upkeep = Upkeep(
            node=settings.node_name,
            book=self.book,
            pods=self.pods,
            source=gateway,
            reservations=self.reservations,
            enforcer=self.enforcer,
            described=described,
            synchronized=self.informer.synchronized,
            backoff=backoff,
            metrics=metrics,
            clock=clock,
        )
        self.pod_events = PodEvents(
            node=settings.node_name, writer=gateway, metrics=feedback_metrics, clock=clock
        )
        self.feedback = Feedback(
            book=self.book,
            enforcement=self.enforcer,
            usage=KernelUsage(
                system=system,
                proc=settings.proc_path,
                debug=settings.scheduler_debug_path / "debug",
                prefix=settings.group_prefix,
                charges_stolen_time=may_charge_stolen_time(settings.proc_path),
            ),
            events=self.pod_events,
            counts=OverrunCounts(settings.overruns_path),
            metrics=feedback_metrics,
            tick=self.capability.tick,
            clock=clock,
        )
        self.enforced = EnforcedConditions(
            book=self.book,
            pods=self.pods,
            enforcement=self.enforcer,
            writer=gateway,
            metrics=feedback_metrics,
            clock=clock,
        )
        self.audit = Audit(
            book=self.book,
            pods=self.pods,
            enforcement=self.enforcer,
            strays=self.upkeep,
            foreign=self.mechanisms,
            foreign_threads=ForeignThreads(
                system=system, proc=settings.proc_path, cores=frozenset(settings.cpus)
            ),
            events=self.pod_events,
            metrics=audit_metrics,
            clock=clock,
        )
        self.state = NodeState(
            book=self.book,
            mechanisms=self.mechanisms,
            endpoint=settings.endpoint,
            lease=settings.lease,
            enforcement=self.enforcer,
            warnings=self.audit.warnings,
            test=settings.admission_test,
            exchanges=settings.exchange,
        )
        self.offer = OfferRefresh(
            mechanisms=self.mechanisms,
            book=self.book,
            reservations=self.reservations,
            events=self.pod_events,
            metrics=TimerMetrics(self.registry),
        )
        self.report = CpuReport(
            mechanisms=self.mechanisms,
            book=self.book,
            reservations=self.reservations,
            state=self.state,
            described=described,
            synchronized=self.informer.synchronized,
            health=self.healthy,
            metrics=book_metrics,
        )
        self.publication = NodePublication(
            report=self.report,
            gateway=gateway,
            node=settings.node_name,
            lease_namespace=settings.lease_namespace,
            lease_name=rubicante_lease(settings.node_name),
            lease=settings.lease,
            since_key=CPU_STATE_SINCE_KEY,
            backoff=backoff,
            clock=nanoseconds,
        )

    @property
    def capability(self) -> Capability:
        """The kernel's capability, as last found."""
        return self.mechanisms.capability

    def api(self) -> Flask:
        """The HTTP API."""
        return create_app(reservations=self.reservations, state=self.state)

    def start(self) -> None:
        """Start the loops."""
        log.info(
            "capability",
            extra={
                "mechanism": self.capability.mechanism,
                "tick_ns": self.capability.tick,
                "bandwidth": str(self.capability.bandwidth),
                "problems": self.capability.problems,
                "warnings": self.capability.warnings,
            },
        )
        self.informer.start()
        self._loops.start("upkeep", _UPKEEP, self.upkeep.tick)
        self._loops.start("publish", _PUBLISH, self.publication.publish)
        if self._enforces:
            self._loops.start("enforce", _LOOK, self.loop.tick)
            self._loops.start("offer", _PUBLISH, self.offer.refresh)
            self._loops.start("lateness", _LATENESS, self.offer.measure)
            self._loops.start("feedback", _FEEDBACK, self._look_at_tasks)
            self._loops.start("events", _FEEDBACK, self.pod_events.send)
        self._loops.start("conditions", _FEEDBACK, self._write_conditions)
        self._loops.start("beat", _UPKEEP, self.publication.beat)

    def halt(self) -> None:
        """End the loops; what is enforced stays enforced."""
        self.stop.set()
        self._watch.ring()
        self._loops.join(_JOIN_SECONDS)
        self._watch.close()
        with self.book.lock:
            self.mechanisms.end(self.book.standing().reservations)
        self.mechanisms.close()

    def healthy(self) -> str | None:
        """Why the process should be restarted, if it should."""
        return self.loop.trouble() if self._enforces else None

    def ready(self) -> str | None:
        """Why the node takes no reservations yet, if it does not."""
        return self.report.unready() or self.publication.trouble()

    def _exchange_search(self, settings: Settings) -> FindExchange | None:
        """None where servers are not exchanged: plans are for the default test alone."""
        if not settings.exchange or settings.admission_test != ADMISSION_TEST:
            return None
        return find_exchange_in_groups

    def _why_not_enforceable(self) -> str:
        return "; ".join(self.capability.problems)

    def _look_at_tasks(self) -> None:
        self.feedback.look()
        if self.reservations.is_open:
            self.audit.look()

    def _write_conditions(self) -> None:
        if self.reservations.is_open:
            self.enforced.look()
