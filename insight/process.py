"""Insight assembled: informers, the overview and its streams, reviews of sessions, and probes."""

import logging
import threading
import time
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from insight.access.gate import Gate
from insight.access.reviews import ApiReviews
from insight.access.sessions import Sessions
from insight.app import InsightApp, Parts
from insight.explanations.explain import Explanations
from insight.explanations.extender_client import Explainer
from insight.explanations.stories import Stories
from insight.metrics import InsightMetrics
from insight.overview.shared_texts import SharedTexts
from insight.overview.source import OverviewSource
from insight.readers import Readers
from insight.settings import InsightSettings
from insight.static_files import StaticFiles
from insight.streams import PATIENCE, REVIEW_AFTER, Streams
from insight.watches import WatchedGateway, Watches
from k40s.errors import UnavailableError
from k40s.explanation.story import StoryNode
from k40s.http.connections.streams import StreamLoop
from k40s.http.probes import ProbeServer
from k40s.node_agent.loops import Loops
from k40s.overview.model import Overview
from k40s.pki.metrics import CertificateMetrics
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

PUSH_EVERY = Nanoseconds(250 * NS_PER_MS)
REVIEW_EVERY = Nanoseconds(5 * NS_PER_S)
_SILENCE_S = 15.0
_LATE = 60 * NS_PER_S
"""Without a turn of the loop for so long, it is not healthy."""


class Insight:
    """Everything that runs in the worker process."""

    def __init__(
        self,
        settings: InsightSettings,
        *,
        gateway: WatchedGateway,
        explainer: Explainer,
        files: StaticFiles | None = None,
        clock: Clock = time.monotonic_ns,
        wall: WallClock = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ``UnavailableError`` when the probes' port or the page's files cannot be used."""
        registry = CollectorRegistry()
        self._metrics = InsightMetrics(registry)
        CertificateMetrics(
            registry,
            process="insight",
            certificates={
                "server": settings.tls_directory / "tls.crt",
                "client": settings.client_tls_directory / "tls.crt",
            },
        )
        self._clock = clock
        self._pushed = clock()
        self._stop = threading.Event()
        self._gate = Gate(
            ApiReviews(gateway.api, audiences=settings.token_audiences),
            clock=clock,
            count=lambda outcome: self._metrics.reviews[outcome].inc(),
        )
        self._sessions = Sessions(lifetime=settings.session_lifetime, clock=clock)
        self.watches = Watches(
            gateway,
            settings.namespace,
            on_change=self._mark,
            metrics=self._metrics,
            stop=self._stop,
            wall=wall,
        )
        self._source = OverviewSource(self._build, clock=clock)
        self._texts = SharedTexts()
        self.loop = StreamLoop(silence=_SILENCE_S, clock=lambda: clock() / NS_PER_S)
        self.streams = self._make_streams(settings)
        self.app = self._make_app(settings, gateway, explainer, files or StaticFiles())
        self.probes = ProbeServer(
            host=settings.host,
            port=settings.probe_port,
            registry=registry,
            healthy=self._healthy,
            ready=self.watches.waiting,
        )
        self._loops = Loops(stop=self._stop, on_error=self._metrics.errors.inc)

    def start(self) -> InsightApp:
        """Start informers, loops and probes; returns the application to serve."""
        self.watches.start()
        self.loop.start()
        self._loops.start("push", PUSH_EVERY, self.push)
        self._loops.start("review", REVIEW_EVERY, self.review)
        self.probes.start()
        return self.app

    def stop(self) -> None:
        """End loops and streams, free the port."""
        self._stop.set()
        self._loops.join(1.0)
        self.loop.stop()
        self.probes.stop()

    def push(self) -> None:
        """Bring all streams up to date."""
        if self.watches.waiting() is None:
            self.streams.push()
        self._pushed = self._clock()

    def review(self) -> None:
        """Review the tokens of sessions that are due, then the streams' readers."""
        until = self._clock() + PATIENCE
        for session in self._sessions.due(REVIEW_AFTER):
            if self._clock() >= until:
                break
            try:
                found = self._gate.review(session.token)
            except UnavailableError as error:
                self._metrics.unavailable.inc()
                log.warning("review not answered", extra={"cause": str(error)})
                continue
            if found is None:
                self._sessions.end(session.key)
            else:
                self._sessions.accepted(session.key, found.user, reviewed=found.at)
        self._metrics.sessions.set(len(self._sessions))
        if self.watches.waiting() is None:
            self.streams.review()

    def _mark(self) -> None:
        self._source.mark()

    def _build(self) -> Overview:
        with self._metrics.overview_seconds.time():
            return self.watches.build()

    def _make_streams(self, settings: InsightSettings) -> Streams:
        return Streams(
            self.loop,
            source=self._source,
            texts=self._texts,
            gate=self._gate,
            sessions=self._sessions,
            metrics=self._metrics,
            most=settings.streams,
            most_per_user=settings.streams_per_user,
            clock=self._clock,
        )

    def _make_app(
        self,
        settings: InsightSettings,
        gateway: WatchedGateway,
        explainer: Explainer,
        files: StaticFiles,
    ) -> InsightApp:
        stories = Stories(
            api=gateway.api, find_node=self._find_node, thresholds=settings.thresholds
        )
        return InsightApp(
            Parts(
                gate=self._gate,
                sessions=self._sessions,
                readers=Readers(self._gate, self._sessions, clock=self._clock),
                source=self._source,
                texts=self._texts,
                streams=self.streams,
                explanations=Explanations(
                    api=gateway.api,
                    gate=self._gate,
                    explainer=explainer,
                    nodes=self.watches.node_names,
                    tell_story=stories.tell,
                ),
                files=files,
                metrics=self._metrics,
                session_lifetime=settings.session_lifetime,
                ready=self.watches.waiting,
            )
        )

    def _find_node(self, name: str) -> StoryNode | None:
        found = self.watches.find_node(name)
        if found is None:
            return None
        rows = self._source.current()[1].nodes
        level = next((row.level for row in rows if row.name == name), None)
        return StoryNode(level=level, annotations=found.node.annotations)

    def _healthy(self) -> str | None:
        late = self._clock() - self._pushed > _LATE
        return "no turn of the loop for 60 s" if late else None
