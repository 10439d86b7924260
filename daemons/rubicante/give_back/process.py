"""``--give-back``: returns all that rubicante holds, once or while the Node's label asks."""

import logging
import threading
import time
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from daemons.rubicante.book.book import Book
from daemons.rubicante.cluster.pod_events import PodEvents
from daemons.rubicante.give_back.leftovers import Leftovers
from daemons.rubicante.give_back.node import GiveBack
from daemons.rubicante.kernel.sched_attr import LinuxAttributes
from daemons.rubicante.kernel.system import LinuxSystem, System
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.node import bare_node
from daemons.rubicante.metrics import FeedbackMetrics
from daemons.rubicante.settings import Settings
from k40s.annotations import GIVE_BACK_LABEL
from k40s.cpu.admission.admit import admit
from k40s.errors import K40sError, UnavailableError
from k40s.http.probes import ProbeServer
from k40s.kube.connect import connect
from k40s.node_agent.leases import rubicante_lease
from k40s.node_agent.store_handover import open_store
from k40s.units import NS_PER_S, MonotonicClock

if TYPE_CHECKING:
    from k40s.kube.gateway import KubeGateway
    from k40s.runtime.store import Store

log = logging.getLogger(__name__)

_ONCE_SECONDS = 60.0
"""Time for the kernel to release everything: a second above containers, and retries."""
_TURN_SECONDS = 1.0
_REST_SECONDS = 10.0
"""Between two looks at a node of which nothing is left."""
_LEFT = 1


class Request(Enum):
    """The operator's request for this node, by its label."""

    NOTHING = "nothing"
    DRY_RUN = "dry-run"
    GIVE_BACK = "true"


class GiveBackProcess:
    """``run_once`` for a command line, ``stay`` for a DaemonSet, which the Node's label steers."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        stop: threading.Event,
        system: System | None = None,
        access: DeadlineAccess | None = None,
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        """``system`` and ``access`` are the kernel, this machine's where not given."""
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._system = system or LinuxSystem()
        self._access = access or DeadlineAccess(attributes=LinuxAttributes())
        self._registry = CollectorRegistry()
        self._gateway: KubeGateway | None = None
        try:
            self._gateway = connect(kubeconfig=settings.kubeconfig, environment=environment)
        except UnavailableError as error:
            log.warning("only kernel and book are given back", extra={"cause": str(error)})
        self._events = (
            None
            if self._gateway is None
            else PodEvents(
                node=settings.node_name,
                writer=self._gateway,
                metrics=FeedbackMetrics(self._registry),
                clock=clock,
            )
        )
        self._store: Store | None = None
        self._work: GiveBack | None = None
        self._logged: tuple[str, ...] | None = None
        self._trouble: str | None = "not begun"

    def run_once(self, *, dry_run: bool) -> int:
        """Give everything back, or list it; returns the exit code."""
        if dry_run:
            self._log(self._make(book=None).find(), dry_run=True)
            return 0
        end = self._clock() + _ONCE_SECONDS
        work = self._open()
        while (left := work.act()) and self._clock() < end and not self._stop.is_set():
            self._log(left)
            self._stop.wait(_TURN_SECONDS)
        self._log(left)
        return _LEFT if left else 0

    def stay(self) -> int:
        """Do what the Node's label says until stopped; ready when nothing is left."""
        ProbeServer(
            host=self._settings.listen_host,
            port=self._settings.probe_port,
            registry=self._registry,
            ready=lambda: self._trouble,
        ).start()
        while not self._stop.is_set():
            try:
                left = self.turn()
                self._trouble = "; ".join(left) or None
            except K40sError as error:
                self._trouble = str(error)
                log.warning("node not given back", extra={"cause": str(error)})
            self._stop.wait(_TURN_SECONDS if self._trouble else _REST_SECONDS)
        return 0

    def turn(self) -> tuple[str, ...]:
        """One turn of what the label requests; returns what is left. Raises ``K40sError``."""
        request = self._request()
        if request is not Request.GIVE_BACK:
            self._close()
        match request:
            case Request.GIVE_BACK:
                left = (self._work or self._open()).act()
                self._log(left)
                return left
            case Request.DRY_RUN:
                self._log(self._make(book=None).find(), dry_run=True)
                return ()
            case Request.NOTHING:
                return (f"the Node's label {GIVE_BACK_LABEL} asks for nothing",)

    def _request(self) -> Request:
        if self._gateway is None:
            return Request.NOTHING
        record = self._gateway.get_node(self._settings.node_name)
        text = "" if record is None else record.labels.get(GIVE_BACK_LABEL, "")
        if text == Request.GIVE_BACK.value:
            return Request.DRY_RUN if self._settings.dry_run else Request.GIVE_BACK
        return Request.DRY_RUN if text == Request.DRY_RUN.value else Request.NOTHING

    def _open(self) -> GiveBack:
        """Take the store, so that no other rubicante reserves meanwhile; waits for one to end."""
        if self._store is None:
            self._store = open_store(self._settings.store, wait=self._pause, clock=self._clock)
        book = Book(
            store=self._store,
            node=bare_node(self._settings),
            admit=admit,
            lease=self._settings.reservation_lease,
            clock=lambda: round(self._clock() * NS_PER_S),
        )
        self._work = self._make(book=book)
        return self._work

    def _close(self) -> None:
        """Close the store for the rubicante that starts again once the label is removed."""
        if self._store is not None:
            self._store.close()
        self._store = self._work = None

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise UnavailableError("stopped before the store was free")

    def _make(self, *, book: Book | None) -> GiveBack:
        settings, gateway = self._settings, self._gateway
        try:
            leftovers = Leftovers(
                settings,
                system=self._system,
                access=self._access,
                stop=self._stop,
                clock=self._clock,
            )
        except OSError as error:
            raise UnavailableError(f"the kernel cannot be looked at: {error}") from error
        return GiveBack(
            node=settings.node_name,
            lease=(settings.lease_namespace, rubicante_lease(settings.node_name)),
            leftovers=leftovers,
            book=book,
            pods=(
                tuple
                if gateway is None
                else lambda: gateway.pods(node=settings.node_name).list().records
            ),
            gateway=gateway,
            events=self._events,
        )

    def _log(self, left: tuple[str, ...], *, dry_run: bool = False) -> None:
        """Log what has changed since the last line; the last line is logged when all is done."""
        if left == self._logged:
            return
        self._logged = left
        for what in left:
            log.info(
                "would be given back" if dry_run else "not given back yet", extra={"what": what}
            )
        if not left:
            log.info("node given back", extra={"node": self._settings.node_name})
