"""Live pages: which stream shows what, and whether its reader may still see it."""

import logging
import socket
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

from insight.access.gate import Gate
from insight.access.reviews import User
from insight.access.rights import Rights
from insight.access.sessions import Sessions
from insight.answers import SECURITY, RefusalError
from insight.metrics import InsightMetrics
from insight.overview.cut import namespaces_of
from insight.overview.shared_texts import GZIP_HEAD, SharedText, SharedTexts, compress_part
from insight.overview.source import OverviewSource
from insight.readers import Reader
from k40s.errors import UnavailableError
from k40s.http.connections.streams import Stream, StreamLoop
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

REVIEW_AFTER = Nanoseconds(30 * NS_PER_S)
"""A token is reviewed again after so long."""
PATIENCE = Nanoseconds(5 * NS_PER_S)
"""A round of reviews asks the API server nothing more after so long: it may not answer at all."""
_UNREVIEWED = 60 * NS_PER_S
"""A stream whose token could not be reviewed for so long ends."""
_IDLE = b":\n\n"
_PLAIN_HEAD: tuple[tuple[str, str], ...] = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
    *SECURITY,
)


@dataclass(slots=True, kw_only=True)
class _Watcher:
    """One stream; ``sent`` is the text that it was sent last."""

    reader: Reader
    user: User
    rights: Rights
    packed: bool
    reviewed: int
    stream: Stream | None = None
    sent: SharedText | None = None
    end: str = "client"


class Streams:
    """All streams. ``push`` and ``review`` are called by one thread each."""

    def __init__(
        self,
        loop: StreamLoop,
        *,
        source: OverviewSource,
        texts: SharedTexts,
        gate: Gate,
        sessions: Sessions,
        metrics: InsightMetrics,
        most: int,
        most_per_user: int,
        clock: Clock,
    ) -> None:
        self._loop = loop
        self._source = source
        self._texts = texts
        self._gate = gate
        self._sessions = sessions
        self._metrics = metrics
        self._most = most
        self._most_per_user = most_per_user
        self._clock = clock
        self._lock = threading.Lock()
        self._watchers: dict[int, _Watcher] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def begin(
        self, reader: Reader, rights: Rights, *, packed: bool
    ) -> Callable[[socket.socket], None]:
        """Reserve a stream; what is returned takes its connection over. ``RefusalError`` (429)."""
        watcher = _Watcher(
            reader=reader, user=reader.user, rights=rights, packed=packed, reviewed=reader.reviewed
        )
        with self._lock:
            account = reader.user.account
            own = sum(one.user.account == account for one in self._watchers.values())
            if len(self._watchers) >= self._most:
                raise self._refused("all")
            if own >= self._most_per_user:
                raise self._refused("user")
            self._watchers[id(watcher)] = watcher

        def take(sock: socket.socket) -> None:
            try:
                self._take(watcher, sock)
            except BaseException:
                self._forget(watcher)
                raise

        return take

    def push(self) -> None:
        """Send the newest overview to all that have not had it."""
        with self._lock:
            watchers = [one for one in self._watchers.values() if one.stream is not None]
        self._metrics.streams.set(len(self._watchers))
        if not watchers:
            return
        number, overview = self._source.current()
        texts = self._texts.prepare(number, overview, [one.rights for one in watchers])
        events: dict[tuple[Rights, bool], bytes] = {}
        for one in watchers:
            rights = one.rights
            text = texts.get(rights)
            if text is None or text is one.sent or one.stream is None:
                continue  # no text: its rights have just changed, and the next turn has it
            key = (rights, one.packed)
            if key not in events:
                make = text.packed_event if one.packed else text.event
                events[key] = make(overview.at)
            one.stream.send(events[key])
            one.sent = text

    def review(self) -> None:
        """End the streams of those who may not look any more, and find the others' rights."""
        with self._lock:  # the one that has waited longest first, if there is no time for all
            watchers = sorted(self._watchers.values(), key=lambda one: one.reviewed)
        if not watchers:
            return
        namespaces = namespaces_of(self._source.current()[1])
        until = self._clock() + PATIENCE
        for one in watchers:
            cause = self._review(one, namespaces) if self._clock() < until else ""
            if not cause and self._clock() - one.reviewed >= _UNREVIEWED:
                cause = "unreviewed"
            if cause and one.stream is not None:
                one.end = cause
                one.stream.end()

    def _refused(self, limit: str) -> RefusalError:
        self._metrics.streams_refused[limit].inc()
        text = "too many live pages are open: close one"
        return RefusalError(HTTPStatus.TOO_MANY_REQUESTS, text)

    def _review(self, one: _Watcher, namespaces: Collection[str]) -> str:
        """Why the stream ends, "" where it goes on, with its rights as they are now."""
        try:
            cause = self._check(one)
            if not cause:
                one.rights = self._gate.find_rights(one.user, namespaces)
        except UnavailableError as error:
            self._metrics.unavailable.inc()
            log.warning("review not answered", extra={"cause": str(error)})
            return ""
        return cause

    def _check(self, one: _Watcher) -> str:
        """Why the stream ends, "" where it goes on."""
        if one.reader.session is not None:
            session = self._sessions.get(one.reader.session.key)
            if session is None:
                return "expired"
            one.user, one.reviewed = session.user, session.reviewed
            return ""
        if self._clock() - one.reviewed < REVIEW_AFTER:
            return ""
        found = self._gate.review(one.reader.token)
        if found is None:
            return "rejected"
        one.user, one.reviewed = found.user, found.at
        return ""

    def _take(self, watcher: _Watcher, sock: socket.socket) -> None:
        """Begin the response, with the newest overview."""
        encoding = (("Content-Encoding", "gzip"),) if watcher.packed else ()
        lines = [f"{name}: {value}" for name, value in (*_PLAIN_HEAD, *encoding)]
        head = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1")
        number, overview = self._source.current(fresh=True)
        text = self._texts.get(number, overview, watcher.rights)
        event = (
            GZIP_HEAD + text.packed_event(overview.at)
            if watcher.packed
            else text.event(overview.at)
        )
        watcher.sent = text
        watcher.stream = self._loop.add(
            sock,
            head + event,
            idle=compress_part(_IDLE) if watcher.packed else _IDLE,
            on_end=lambda: self._ended(watcher),
        )

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.pop(id(watcher), None)

    def _ended(self, watcher: _Watcher) -> None:
        self._forget(watcher)
        self._metrics.stream_ends[watcher.end].inc()
