"""One rubicante: its parts put together, its loops started and stopped."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from flask import Flask
from prometheus_client import CollectorRegistry

from daemons.rubicante.api import create_app
from daemons.rubicante.book import Book, BookStore
from daemons.rubicante.deadline_access import DeadlineAccess
from daemons.rubicante.enforcer import Enforcer
from daemons.rubicante.feedback import Feedback
from daemons.rubicante.keeper import EnforcementLoop, Keeper
from daemons.rubicante.kernel.capability import Capability
from daemons.rubicante.kernel.strangers import Strangers
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.usage import KernelUsage, may_charge_stolen_time
from daemons.rubicante.kernel.watch import DirectoryWatch
from daemons.rubicante.mechanisms import Mechanisms, bare_node
from daemons.rubicante.metrics import (
    BookMetrics,
    EnforcementMetrics,
    FeedbackMetrics,
    ReconciliationMetrics,
)
from daemons.rubicante.notices import EventWriter, Notices
from daemons.rubicante.pods import NodePods, PodSource
from daemons.rubicante.reconciler import Reconciler
from daemons.rubicante.reservations import Reservations
from daemons.rubicante.settings import Settings
from daemons.rubicante.state import NodeState
from k40s.runtime.admission_tests import load_admission_test
from k40s.runtime.informer import Informer
from k40s.runtime.loop import run_every, start_thread
from k40s.runtime.publisher import NodeWriter, Publisher
from k40s.runtime.records import PodRecord
from k40s.runtime.watching import WatchSource
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

log = logging.getLogger(__name__)

_LOOK = Nanoseconds(NS_PER_MS)
_PUBLISH = Nanoseconds(100 * NS_PER_MS)
_KEEP = Nanoseconds(500 * NS_PER_MS)
_FEEDBACK = Nanoseconds(NS_PER_S)
_BEATS_PER_LEASE = 3
_ENDING_SECONDS = 5.0


class Gateway(PodSource, NodeWriter, EventWriter, Protocol):
    """What rubicante needs of the API server."""


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask the kernel what it can do. Without ``deadline`` there is no SCHED_DEADLINE.

        Raises ``UnavailableError`` for a store and ``AdmissionTestError`` for a schedulability
        test that cannot be used.
        """
        self._settings = settings
        self.registry = CollectorRegistry()
        self.stop = threading.Event()
        self._threads: list[threading.Thread] = []
        book_metrics = BookMetrics(self.registry)
        metrics = EnforcementMetrics(self.registry)
        self._errors = book_metrics.errors
        self.book = Book(
            store=store,
            node=bare_node(settings),
            admit=book_metrics.timed(load_admission_test(settings.admission_test)),
            lease=settings.reservation_lease,
            clock=lambda: round(clock() * NS_PER_S),
        )
        self.mechanisms = Mechanisms(
            settings,
            system=system,
            access=deadline,
            held=self.book.node().reservations,
            stop=self.stop,
            clock=clock,
        )
        self._enforces = not self.capability.problems
        self.book.describe(self.mechanisms.node())
        self._watch = DirectoryWatch()
        self.pods = NodePods(book=self.book, changed=self._watch.ring)
        self.enforcer = Enforcer(
            book=self.book,
            kernel=self.mechanisms.kernel,
            statuses=self.pods,
            metrics=metrics,
            clock=clock,
        )
        self.loop = EnforcementLoop(enforcer=self.enforcer, watch=self._watch, clock=clock)
        self.reservations = Reservations(
            node=settings.node_name,
            book=self.book,
            pods=gateway,
            claim=self.enforcer.claim,
            release=self.enforcer.release,
            changed=self.loop.wake,
            metrics=book_metrics,
            enforceable=lambda: not self.capability.problems,
        )
        feedback_metrics = FeedbackMetrics(self.registry)
        self.notices = Notices(writer=gateway, metrics=feedback_metrics, clock=clock)
        self.feedback = Feedback(
            book=self.book,
            threads=self.enforcer.threads,
            conditions=self.enforcer.conditions,
            usage=KernelUsage(
                system=system,
                proc=settings.proc_path,
                debug=settings.scheduler_debug_path / "debug",
                prefix=settings.group_prefix,
                charges_stolen_time=may_charge_stolen_time(settings.proc_path),
            ),
            notices=self.notices,
            metrics=feedback_metrics,
            tick=self.capability.tick,
            clock=clock,
        )
        self.reconciler = Reconciler(
            book=self.book,
            pods=self.pods.records,
            threads=self.enforcer.threads,
            strays=lambda: self.keeper.strays,
            foreign=self.mechanisms.foreign,
            strangers=Strangers(
                system=system, proc=settings.proc_path, cores=frozenset(settings.cpus)
            ),
            notices=self.notices,
            metrics=ReconciliationMetrics(self.registry),
            clock=clock,
        )
        self.state = NodeState(
            book=self.book,
            capability=lambda: self.capability,
            endpoint=settings.endpoint,
            lease=settings.lease,
            threads=self.enforcer.threads,
            warnings=self.reconciler.warnings,
            test=settings.admission_test,
        )
        self.informer = Informer(
            name="pods",
            source=pods,
            handler=self.pods,
            stop=self.stop,
            on_error=self._errors.inc,
        )
        self.keeper = Keeper(
            name=settings.node_name,
            mechanisms=self.mechanisms,
            gateway=gateway,
            book=self.book,
            pods=self.pods,
            synchronized=self.informer.synchronized,
            reservations=self.reservations,
            enforcer=self.enforcer,
            state=self.state,
            publisher=Publisher(
                gateway=gateway,
                node=settings.node_name,
                lease_namespace=settings.lease_namespace,
                lease_name=f"rubicante-{settings.node_name}",
                lease=settings.lease,
            ),
            metrics=(book_metrics, metrics),
            trouble=self.healthy,
            clock=clock,
            beat_period=settings.lease / NS_PER_S / _BEATS_PER_LEASE,
        )

    @property
    def capability(self) -> Capability:
        """What the kernel can do, as it was last asked."""
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
        loops = {"keep": (_KEEP, self.keeper.keep), "publish": (_PUBLISH, self.keeper.publish)}
        if self._enforces:
            loops["enforce"] = (_LOOK, self.loop.tick)
            loops["kernel"] = (_PUBLISH, self.keeper.look_at_kernel)
            loops["feedback"] = (_FEEDBACK, self._look_at_tasks)
            loops["notices"] = (_FEEDBACK, self.notices.send)
        loops["beat"] = (_KEEP, self.keeper.beat)
        for name, (period, tick) in loops.items():
            self._run(name, period, tick)

    def halt(self) -> None:
        """End the loops; what is enforced stays enforced."""
        self.stop.set()
        self._watch.ring()
        for thread in self._threads:
            thread.join(_ENDING_SECONDS)
        self._watch.close()
        self.mechanisms.close()

    def healthy(self) -> str | None:
        """Why the process should be restarted, if it should."""
        return self.loop.trouble() if self._enforces else None

    def _look_at_tasks(self) -> None:
        self.feedback.look()
        if self.reservations.is_open:
            self.reconciler.look()

    def _run(self, name: str, period: Nanoseconds, tick: Callable[[], None]) -> None:
        def loop() -> None:
            run_every(period=period, tick=tick, stop=self.stop, on_error=self._errors.inc)

        self._threads.append(start_thread(loop, name=name))
