"""The report on the node's assurance: level, parts, class, and freshness of the samples."""

import logging
from datetime import datetime
from typing import Protocol

from daemons.malacoda.condition import describe_condition
from daemons.malacoda.culprit.events import COMPONENT
from daemons.malacoda.metrics import ReportMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.profiles import Profiles
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    ASSURANCE_PROFILE_LABEL,
    CULPRITS_KEY,
    HARDWARE_ASSURANCE_KEY,
    SOFTWARE_ASSURANCE_KEY,
    NodeAssurance,
    format_node_assurance,
    parse_assurance_part,
    parse_node_assurance,
)
from k40s.assurance.gamma import HIGHEST, GammaState
from k40s.assurance.level import Thresholds, assurance_class
from k40s.errors import InvalidAnnotationError, K40sError
from k40s.kube.events import EventWriter
from k40s.kube.records import NodeCondition, NodeRecord, ObjectRef
from k40s.node_agent.publication import NodeKeys
from k40s.units import NS_PER_S, Nanoseconds, WallClock

log = logging.getLogger(__name__)

ASSURANCE_INVALID = "AssuranceInvalid"
"""Reason of the event about an operator's figure that cannot be understood."""
FRESH = Nanoseconds(5 * NS_PER_S)
"""Greatest age of the last sample with which the Lease is renewed."""


class Requests(Protocol):
    """The evictions that are asked for; implemented by ``EvictionRequests``."""

    @property
    def text(self) -> str | None:
        """The annotation; None where nothing is asked for."""


class AssuranceReport:
    """Implements ``NodeReport``. ``hardware`` is α where the operator declares none.

    ``software`` is the proposed β, which the operator's figure overrides.
    """

    def __init__(
        self,
        *,
        monitor: Monitor,
        profiles: Profiles,
        thresholds: Thresholds,
        hardware: int,
        software: int,
        lease: Nanoseconds,
        metrics: ReportMetrics,
        now: WallClock,
        node: str,
        writer: EventWriter,
        evictions: Requests | None = None,
    ) -> None:
        """``writer`` takes events on the Node ``node``."""
        self.published: NodeAssurance | None = None
        self._monitor = monitor
        self._profiles = profiles
        self._thresholds = thresholds
        self._defaults = (hardware, software)
        self._parts: tuple[int, int] | None = None
        self._next: NodeAssurance | None = None
        self._condition: NodeCondition | None = None
        self._next_condition: NodeCondition | None = None
        self._former: NodeAssurance | None = None
        self._lease = lease
        self._metrics = metrics
        self._now = now
        self._evictions = evictions
        self._node = ObjectRef(kind="Node", namespace="", name=node, uid=node)
        self._writer = writer
        self._refused: dict[str, str] = {}

    @property
    def software(self) -> int:
        """β: the operator's figure, or the proposal."""
        return self._defaults[1] if self._parts is None else self._parts[1]

    def read(self, record: NodeRecord) -> bool:
        """Take over the operator's figures and profile, and at the start γ from before it."""
        self._profiles.select(record.labels.get(ASSURANCE_PROFILE_LABEL))
        self._profiles.look_for_missing()
        hardware, software = self._defaults
        if self._parts is None:
            self._resume(record.annotations.get(ASSURANCE_KEY))
        self._parts = (
            self._part(record, HARDWARE_ASSURANCE_KEY, hardware),
            self._part(record, SOFTWARE_ASSURANCE_KEY, software),
        )
        return True

    def contents(self) -> NodeKeys | None:
        """Level, class and condition; None before operator's figures and samples suffice.

        All of it is of the time of the last change, so that nothing else is a change.
        """
        if self._parts is None or not self._monitor.has_verdict:
            return None
        hardware, software = self._parts
        state, last = self._monitor.state, self.published
        if last is None or (hardware, software, *_shown(state.gamma)) != _parts(last):
            last = NodeAssurance(
                hardware=hardware,
                software=software,
                state=state.gamma.value,
                observed=self._now(),
                lease=self._lease,
                hazards=tuple(metric.value for metric in state.hazards),
                cause=state.gamma.cause,
                falls=state.gamma.falls,
            )
            self._next_condition = describe_condition(
                last,
                state,
                policy=self._monitor.policy,
                fit=assurance_class(last.level, self._thresholds),
                since=self._since(last),
            )
        self._next = last
        return NodeKeys(
            annotations={
                ASSURANCE_KEY: format_node_assurance(last),
                CULPRITS_KEY: None if self._evictions is None else self._evictions.text,
            },
            labels={ASSURANCE_CLASS_LABEL: assurance_class(last.level, self._thresholds).name},
            condition=self._next_condition,
        )

    def _since(self, following: NodeAssurance) -> datetime:
        """When the condition's status last changed: now, unless it is that of before."""
        if self.published is not None and self._condition is not None:
            former, since = self.published, self._condition.since
        elif self._former is not None:
            former, since = self._former, self._former.observed
        else:
            return following.observed
        same = (former.state < HIGHEST) == (following.state < HIGHEST)
        return since if same else following.observed

    def confirm(self, *, wrote: bool) -> None:
        """Show what is published."""
        last = self.published = self._next
        self._condition = self._next_condition
        if last is None:
            return
        self._metrics.show(last)
        if wrote:
            self._metrics.publications.inc()
            log.info(
                "assurance published",
                extra={
                    "assurance": last.level,
                    "hardware": last.hardware,
                    "software": last.software,
                    "state": last.state,
                    "hazards": list(last.hazards),
                    "cause": last.cause.name.lower(),
                    "falls": last.falls,
                },
            )

    def trouble(self) -> str | None:
        """Whether samples have stopped, or there are no rules to judge them by."""
        if self._profiles.trouble is not None:
            return "no valid profile of rules"
        age = self._monitor.age
        return "no fresh sample of the node's CPUs" if age is None or age > FRESH else None

    def _part(self, record: NodeRecord, key: str, default: int) -> int:
        text = record.annotations.get(key)
        if text is None:
            self._refused.pop(key, None)
            return default
        try:
            part = parse_assurance_part(text, key=key)
        except InvalidAnnotationError as error:
            self._refuse(key, str(error))
            return 0
        self._refused.pop(key, None)
        return part

    def _refuse(self, key: str, cause: str) -> None:
        """Report an operator's mistake, each once: as a metric, in the log and on the Node."""
        if self._refused.get(key) == cause:
            return
        self._refused[key] = cause
        self._metrics.invalid.inc()
        log.error("invalid assurance annotation counts as 0", extra={"reason": cause})
        try:
            self._writer.create_event(
                self._node,
                reason=ASSURANCE_INVALID,
                message=f"{cause}; it counts as 0, which keeps pods off the node",
                component=COMPONENT,
                warning=True,
            )
        except K40sError as error:
            log.warning("event not written", extra={"on": self._node.name, "cause": str(error)})

    def _resume(self, text: str | None) -> None:
        if text is None:
            return
        try:
            former = parse_node_assurance(text)
        except InvalidAnnotationError as error:
            log.warning("former assurance annotation is invalid", extra={"reason": str(error)})
            return
        self._former = former
        self._monitor.resume(former.state, cause=former.cause, falls=former.falls)


def _parts(assurance: NodeAssurance) -> tuple[int, ...]:
    return assurance.hardware, assurance.software, assurance.state, assurance.cause, assurance.falls


def _shown(gamma: GammaState) -> tuple[int, ...]:
    return gamma.value, gamma.cause, gamma.falls
