"""The state of the node's CPUs: as published on the Node, and in full for ``GET /v1/state``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.book.progress import Progress
from daemons.rubicante.enforcement.conditions import Condition, StandIn
from daemons.rubicante.enforcement.view import EnforcementView
from daemons.rubicante.mechanisms.capability import Capability
from daemons.rubicante.mechanisms.timer.budget_timer import TimerStatus
from daemons.rubicante.mechanisms.timer.lateness import BOUNDS
from k40s.annotations import (
    CPU_STATE_KEY,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    CpuState,
    format_cpu_state,
    parse_platform_factor,
)
from k40s.annotations.cpu_state import MAX_WHOLE_STATE
from k40s.annotations.reserve import format_reserve
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.cpu.price import prices_of
from k40s.kube.records import NodeRecord
from k40s.node_api.allocation import core_name, server_json
from k40s.strict_json import format_json
from k40s.units import Nanoseconds, format_duration


class CapabilitySource(Protocol):
    """The kernel's present capability; implemented by ``Mechanisms``."""

    @property
    def capability(self) -> Capability:
        """As it was last found."""
        ...

    def timer(self) -> TimerStatus | None:
        """The timer that ends SCHED_DEADLINE budgets; None where that is not to be used."""
        ...


Warnings = Callable[[], Sequence[str]]
"""Warnings for the operator, beside those of the capability."""


class NodeState:
    """Both forms of the state.

    ``test`` names the schedulability test that admission runs, ``exchanges`` is whether servers are
    exchanged for a pod that it refuses.
    """

    def __init__(
        self,
        *,
        book: Book,
        mechanisms: CapabilitySource,
        endpoint: str,
        lease: Nanoseconds,
        enforcement: EnforcementView,
        warnings: Warnings = tuple,
        test: str = ADMISSION_TEST,
        exchanges: bool = True,
    ) -> None:
        self._book = book
        self._mechanisms = mechanisms
        self._endpoint = endpoint
        self._lease = lease
        self._enforcement = enforcement
        self._test = test
        self._makes_exchanges = exchanges
        self._warnings = warnings

    def cpu_state(self) -> CpuState:
        """The state now.

        Incomplete while a pod still runs on a core that is no longer set aside for reservations,
        and while servers are being exchanged: the node itself then knows what it can admit.
        """
        with self._book.lock:
            node, generation = self._book.standing(), self._book.generation
            entries, exchanges = self._book.entries(), self._book.exchanges()
        used = node.utilizations()
        return CpuState(
            generation=generation,
            test=self._test,
            mechanism=self._mechanisms.capability.mechanism,
            endpoint=self._endpoint,
            lease=self._lease,
            node=node,
            utilization=used,
            complete=not exchanges and all(held.core in used for held in node.reservations),
            leased=frozenset(e.pod.uid for e in entries if e.phase is Phase.LEASED),
            exchanges=self._makes_exchanges,
        )

    def annotations(self) -> dict[str, str | None]:
        """The annotations of the Node."""
        return {CPU_STATE_KEY: format_cpu_state(self.cpu_state())}

    def published_whole(self) -> str:
        """The annotation's text with all reservations, also where the annotation lacks them.

        Without them where some pod runs on a core that is no longer set aside.
        """
        return format_cpu_state(self.cpu_state(), at_most=MAX_WHOLE_STATE)

    def labels(self) -> dict[str, str | None]:
        """The labels of the Node."""
        return {REAL_TIME_LABEL: "false" if self._mechanisms.capability.problems else "true"}

    def document(self) -> str:
        """The JSON of ``GET /v1/state``: what is published, in full, and what is enforced."""
        with self._book.lock:
            state, entries = self.cpu_state(), self._book.entries()
            troubles, stood = self._enforcement.conditions(), self._enforcement.stand_ins()
            pods = [self._pod(entry, troubles, stood) for entry in entries]
            causes = self._enforcement.exchange_causes()
            exchanges = [_exchange(one, causes) for one in self._book.exchanges()]
        node, found = state.node, self._mechanisms.capability
        return format_json(
            {
                "generation": state.generation,
                "test": state.test,
                "mechanism": state.mechanism,
                "problems": list(found.problems),
                "warnings": list(
                    dict.fromkeys((*self._mechanisms.capability.warnings, *self._warnings()))
                ),
                "tick": format_duration(node.tick),
                "deadline": self._deadline(node),
                "platform": node.platform,
                "platform_factor": str(node.platform_factor),
                "node_capacity": str(node.node_capacity),
                "core_capacity": str(node.core_capacity),
                "hi_reserve": None if node.hi_reserve is None else format_reserve(node.hi_reserve),
                "cores": {
                    str(core_name(core)): str(used) for core, used in state.utilization.items()
                },
                "pods": pods,
                "exchanges": exchanges,
            }
        )

    def _deadline(self, node: CpuNode) -> dict[str, object] | None:
        """How late SCHED_DEADLINE budgets end, and why; None where it is not offered."""
        offer, timer = node.deadline, self._mechanisms.timer()
        if offer is None or timer is None:
            return None
        bound, seen = BOUNDS[timer.model], timer.measured
        return {
            "overrun": format_duration(offer.tick),
            "delay": format_duration(offer.delay),
            "hrtick_dl": timer.hrtick.state.value,
            "by_k40s": timer.by_k40s,
            "preemption": timer.model.value,
            "bound": None if bound is None else format_duration(bound),
            "measured": {
                name: None if late is None else format_duration(late)
                for name, late in (
                    ("user", seen.user),
                    ("calls", seen.calls),
                    ("wake_ups", seen.by_calls),
                )
            },
        }

    def _pod(
        self, entry: Entry, troubles: Sequence[Condition], stood: Sequence[StandIn]
    ) -> dict[str, object]:
        uid = entry.pod.uid
        threads = self._enforcement.threads(uid)
        stand_ins = {(s.container, s.task) for s in stood if s.pod_uid == uid}
        return {
            "uid": entry.pod.uid,
            "namespace": entry.pod.namespace,
            "name": entry.pod.name,
            "criticality": entry.request.workload.criticality.name,
            "phase": entry.phase.value,
            "servers": [server_json(reservation) for reservation in entry.reservations],
            "prices": [
                {
                    "container": price.container,
                    "declared": str(price.declared),
                    "reserved": str(price.reserved),
                }
                for price in prices_of(entry.reservations)
            ],
            "threads": [
                {
                    "container": container,
                    "task": task,
                    "thread": tid,
                    "stand_in": (container, task) in stand_ins,
                }
                for (container, task), tid in sorted(threads.items())
            ],
            "conditions": [
                {"trouble": c.trouble.value, "container": c.container, "text": c.text}
                for c in troubles
                if c.pod_uid == uid
            ],
        }


def _exchange(progress: Progress, causes: Mapping[int, str]) -> dict[str, object]:
    """One exchange under way: whom it is for, the step that is next or has begun, what waits."""
    step = progress.step
    return {
        "core": progress.core,
        "pod": progress.newcomer,
        "step": min(progress.done + 1, len(progress.exchange.steps)),
        "steps": len(progress.exchange.steps),
        "moving": step.before.pod_uid if step is not None and progress.overlaps else None,
        "cause": causes.get(progress.core, ""),
    }


def describe_node(node: CpuNode, record: NodeRecord) -> CpuNode:
    """The node with the platform that its operator declared.

    Raises ``InvalidAnnotationError`` for an invalid factor.
    """
    factor = record.annotations.get(PLATFORM_FACTOR_KEY, "1")
    return replace(
        node,
        platform=record.labels.get(PLATFORM_LABEL, ""),
        platform_factor=parse_platform_factor(factor),
    )
