"""Critical pods' own reports of harm: a metric that the pod exports, read on the pod's node.

Whoever owns a LOW or HI pod writes the annotation and serves the page, so neither is trusted: only
the pod's own address is called, redirects are not followed, an answer is bounded in size and time,
a failing endpoint is left alone ever longer, and no endpoint takes more than its part of the time.
"""

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.pods import MetricEndpoint
from daemons.malacoda.culprit.search import Pods
from daemons.malacoda.metrics import PodReportMetrics
from k40s.annotations import METRIC_KEY
from k40s.assurance.exposition import find_values
from k40s.errors import UnavailableError
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

MOST_PODS = 32
"""Of a node, whose metrics are read."""
MAX_PAGE = 256 * 1024
TIMEOUT = Nanoseconds(300 * NS_PER_MS)
PERIOD = Nanoseconds(NS_PER_S)
"""Between two reads of a pod's metric, at least."""
_LONGEST_PAUSE = Nanoseconds(60 * NS_PER_S)
_STALE = Nanoseconds(5 * NS_PER_S)
"""A report that is older says nothing, unless the endpoint is slow and read more rarely."""
_OK = 200


class Http(Protocol):
    """The part of ``HttpClient`` that reads a page."""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = ...
    ) -> tuple[int, bytes]:
        """Status and body. Raises ``UnavailableError``."""


class _UnreadError(Exception):
    """A metric that cannot be read; the text says why."""


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What is known of a pod's metric. ``outside`` counts reads outside the bound in a row.

    ``late`` is its report of harm, which holds ``until`` then; None before the first read.
    """

    endpoint: MetricEndpoint
    due: int = 0
    pause: int = PERIOD
    until: int | None = None
    outside: int = 0
    late: bool = False


class PodReports:
    """``tick`` is called by one thread; ``late`` may be read by others."""

    def __init__(
        self,
        *,
        pods: Pods,
        http: Http,
        events: CulpritEvents,
        metrics: PodReportMetrics,
        clock: Clock,
    ) -> None:
        self._pods = pods
        self._http = http
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._readings: dict[str, _Reading] = {}
        self._late: Mapping[str, tuple[int, bool]] = MappingProxyType({})

    @property
    def late(self) -> Mapping[str, bool]:
        """By uid (that in the names of the pod's cgroups), whether a pod reports harm.

        Without pods that name no metric, and without those whose metric was not read lately.
        """
        now = self._clock()
        return {uid: late for uid, (until, late) in self._late.items() if now <= until}

    def tick(self) -> None:
        """Read the metrics that are due, for about a second: the most critical pod's each time.

        So slow endpoints of others, each within its part, do not add up before its turn.
        """
        self._follow()
        end = self._clock() + PERIOD
        due = self._next_due()
        while due is not None:
            self._update(due)
            self._show()
            due = self._next_due() if self._clock() < end else None
        self._show()

    def _next_due(self) -> _Reading | None:
        critical, now = self._pods.view.critical, self._clock()
        return min(
            (one for one in self._readings.values() if one.due <= now),
            key=lambda one: (one.endpoint.uid not in critical, one.due),
            default=None,
        )

    def _show(self) -> None:
        self._late = MappingProxyType(
            {
                uid: (one.until, one.late)
                for uid, one in self._readings.items()
                if one.until is not None
            }
        )
        self._metrics.late.set(sum(self.late.values()))

    def _follow(self) -> None:
        """Forget pods that are gone, begin anew with those whose annotation has changed."""
        view = self._pods.view
        # The most critical first: many LOW pods keep no HI pod from being heard.
        named = sorted(view.endpoints, key=lambda one: one.uid not in view.critical)
        endpoints = {one.uid: one for one in named[:MOST_PODS]}
        for one in named[MOST_PODS:]:
            text = f"{METRIC_KEY} is not read: {MOST_PODS} pods of this node have one already"
            self._events.add(one.pod, EventReason.METRIC_UNREADABLE, text, subject="")
        self._readings = {
            uid: known if known is not None and known.endpoint == one else _Reading(endpoint=one)
            for uid, one in endpoints.items()
            for known in (self._readings.get(uid),)
        }

    def _update(self, reading: _Reading) -> None:
        endpoint = reading.endpoint
        begun = self._clock()
        try:
            outside, values = self._read(endpoint)
        except _UnreadError as error:
            ended = self._clock()
            reading.pause = min(2 * reading.pause, _LONGEST_PAUSE)
            reading.due = ended + max(reading.pause, MOST_PODS * (ended - begun))
            self._metrics.unreadable.inc()
            self._events.add(endpoint.pod, EventReason.METRIC_UNREADABLE, str(error), subject="")
            return
        ended = self._clock()
        wait = max(PERIOD, MOST_PODS * (ended - begun))
        reading.pause = PERIOD
        reading.due = ended + wait
        reading.until = ended + max(_STALE, 2 * wait)
        reading.outside = reading.outside + 1 if outside else 0
        self._judge(reading, values)

    def _judge(self, reading: _Reading, values: list[float]) -> None:
        endpoint, before = reading.endpoint, reading.late
        metric = endpoint.metric
        if metric is None:
            return
        reading.late = reading.outside >= metric.samples
        if reading.late == before:
            return
        fields = {"pod": endpoint.pod.uid, "metric": metric.metric, "values": values[:4]}
        if not reading.late:
            log.info("pod reports no more harm", extra=fields)
            return
        self._metrics.reports.inc()
        log.warning("pod reports harm", extra=fields)
        side = "below" if metric.below else "above"
        text = (
            f"metric {metric.metric} is {side} {metric.bound:g} in {metric.samples} samples in a "
            f"row: {', '.join(f'{value:g}' for value in values[:4])}; this is the pod's own report "
            "of harm"
        )
        self._events.add(endpoint.pod, EventReason.HARM_REPORTED, text, subject="")

    def _read(self, endpoint: MetricEndpoint) -> tuple[bool, list[float]]:
        """Whether any value is outside the bound, and those values. Raises ``_UnreadError``."""
        metric = endpoint.metric
        if metric is None:
            raise _UnreadError(endpoint.fault)
        url = f"http://{_host(endpoint.address)}:{metric.port}{metric.path}"
        try:
            status, page = self._http.request("GET", url, headers=_HEADERS)
            if status != _OK:
                raise _UnreadError(f"{METRIC_KEY}: GET {url}: status {status}")
            values = find_values(page, metric.metric, metric.labels)
        except UnavailableError as error:
            raise _UnreadError(f"{METRIC_KEY}: {error}") from error
        except ValueError as error:
            raise _UnreadError(f"{METRIC_KEY}: {url} has {error} ({metric.metric})") from error
        if not values:
            labels = "" if not metric.labels else f" with the labels {dict(metric.labels)}"
            raise _UnreadError(f"{METRIC_KEY}: {url} has no metric {metric.metric}{labels}")
        outside = [value for value in values if metric.exceeds(value)]
        return bool(outside), outside or values


_HEADERS = MappingProxyType({"Accept": "text/plain; version=0.0.4", "Connection": "close"})
"""No connection is kept: annotations could name any number of ports."""


def _host(address: str) -> str:
    """The host of a URL. Raises ``_UnreadError`` for what cannot be a pod's own address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise _UnreadError(f"{METRIC_KEY}: the pod has no valid address") from None
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        raise _UnreadError(f"{METRIC_KEY}: {found} is no address of a pod")
    return f"[{found}]" if found.version == 6 else str(found)  # noqa: PLR2004  # the IP version
