"""Publishes the node's assurance, on change only, and keeps its Lease alive while it is true."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from daemons.malacoda.metrics import ReportMetrics
from daemons.malacoda.monitor import Monitor
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    HARDWARE_ASSURANCE_KEY,
    SOFTWARE_ASSURANCE_KEY,
    NodeAssurance,
    format_node_assurance,
    parse_assurance_part,
    parse_node_assurance,
)
from k40s.assurance.level import Thresholds, assurance_class
from k40s.errors import InvalidAnnotationError, UnavailableError
from k40s.runtime.records import NodeRecord
from k40s.units import NS_PER_S, Nanoseconds

log = logging.getLogger(__name__)

FRESH = Nanoseconds(5 * NS_PER_S)
"""A monitor whose last sample is older than this is not alive, and the Lease not renewed."""


class NodeReader(Protocol):
    """Reads the Node, for what its operator says."""

    def get_node(self, name: str) -> NodeRecord | None:
        """The node's metadata, or None. Raises ``UnavailableError``."""


class Noticeboard(Protocol):
    """Where the node's word is published: ``k40s.runtime.publisher.Publisher``."""

    def publish(
        self,
        *,
        annotations: Mapping[str, str | None] | None = ...,
        labels: Mapping[str, str | None] | None = ...,
    ) -> bool:
        """Write what has changed; returns whether anything was."""

    def beat(self) -> None:
        """Renew the Lease."""

    def verify(self) -> bool:
        """Forget what someone else has changed, so that it is written again."""


class Reporter:
    """One tick does what is due; the API server may be silent at any time, then it is repeated.

    ``software`` is the proposed β, ``hardware`` α without the operator's word.
    """

    def __init__(
        self,
        *,
        node: str,
        monitor: Monitor,
        reader: NodeReader,
        board: Noticeboard,
        thresholds: Thresholds,
        hardware: int,
        software: int,
        lease: Nanoseconds,
        metrics: ReportMetrics,
        clock: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self.published: NodeAssurance | None = None
        self._node = node
        self._monitor = monitor
        self._reader = reader
        self._board = board
        self._thresholds = thresholds
        self._defaults = (hardware, software)
        self._parts: tuple[int, int] | None = None
        self._lease = lease
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._next_beat = 0
        self._next_look = 0
        self._silent = False

    def tick(self) -> None:
        """Read the operator's word, publish, renew: each when it is due."""
        try:
            if self._clock() >= self._next_look:
                self._look()
                self._next_look = self._clock() + self._lease // 3
            if self._parts is not None and self._monitor.has_judged:
                self._publish(*self._parts)
                self._beat()
        except UnavailableError as error:
            self._metrics.unavailable.inc()
            if not self._silent:
                log.warning("the API server does not answer", extra={"reason": str(error)})
            self._silent = True
        else:
            self._silent = False

    def _look(self) -> None:
        record = self._reader.get_node(self._node)
        if record is None:
            raise UnavailableError(f"there is no Node {self._node}")
        hardware, software = self._defaults
        parts = (
            self._part(record, HARDWARE_ASSURANCE_KEY, hardware),
            self._part(record, SOFTWARE_ASSURANCE_KEY, software),
        )
        if self._parts is None:
            self._resume(record.annotations.get(ASSURANCE_KEY))
        else:
            self._board.verify()
        self._parts = parts

    def _part(self, record: NodeRecord, key: str, default: int) -> int:
        text = record.annotations.get(key)
        if text is None:
            return default
        try:
            return parse_assurance_part(text, key=key)
        except InvalidAnnotationError as error:
            self._metrics.invalid.inc()
            log.error("operator's figure counts as 0", extra={"reason": str(error)})  # noqa: TRY400  # the text says it all
            return 0

    def _resume(self, text: str | None) -> None:
        if text is None:
            return
        try:
            self._monitor.resume(parse_node_assurance(text).state)
        except InvalidAnnotationError as error:
            log.warning("earlier level is not readable", extra={"reason": str(error)})

    def _publish(self, hardware: int, software: int) -> None:
        state = self._monitor.state
        parts = (hardware, software, state.gamma.value)
        last = self.published
        if last is None or parts != (last.hardware, last.software, last.state):
            last = NodeAssurance(
                hardware=hardware,
                software=software,
                state=state.gamma.value,
                observed=self._now(),
                lease=self._lease,
                hazards=tuple(metric.value for metric in state.hazards),
            )
        wrote = self._board.publish(
            annotations={ASSURANCE_KEY: format_node_assurance(last)},
            labels={ASSURANCE_CLASS_LABEL: assurance_class(last.level, self._thresholds).name},
        )
        self.published = last
        self._metrics.show(last)
        if wrote:
            self._metrics.publications.inc()
            log.info(
                "assurance published",
                extra={
                    "assurance": last.level,
                    "hardware": hardware,
                    "software": software,
                    "state": last.state,
                    "hazards": list(last.hazards),
                },
            )

    def _beat(self) -> None:
        age = self._monitor.age
        if self._clock() < self._next_beat or age is None or age > FRESH:
            return
        self._board.beat()
        self._next_beat = self._clock() + self._lease // 3
