"""What the node shows of its CPUs: the published state, and the full one of ``GET /v1/state``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from daemons.rubicante.book import Book
from daemons.rubicante.entry import Entry
from daemons.rubicante.kernel.capability import Capability
from k40s.allocation import core_name, server_json
from k40s.annotations import (
    CPU_STATE_KEY,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    CpuState,
    format_cpu_state,
    parse_platform_factor,
)
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.runtime.records import NodeRecord
from k40s.strict_json import format_json
from k40s.units import Nanoseconds, format_duration


class NodeState:
    """Writes both.

    ``capability`` tells what the kernel can do at present, ``threads`` the TID of each (container,
    task) that is enforced, ``warnings`` what is worth knowing, ``test`` is the name of the
    schedulability test that admission runs.
    """

    def __init__(
        self,
        *,
        book: Book,
        capability: Callable[[], Capability],
        endpoint: str,
        lease: Nanoseconds,
        threads: Callable[[str], Mapping[tuple[str, str], int]],
        warnings: Callable[[], Sequence[str]] = tuple,
        test: str = ADMISSION_TEST,
    ) -> None:
        self._book = book
        self._capability = capability
        self._endpoint = endpoint
        self._lease = lease
        self._threads = threads
        self._test = test
        self._warnings = warnings

    def cpu_state(self) -> CpuState:
        """The state at this moment.

        Incomplete while a pod still runs on a core that is no longer set aside for reservations.
        """
        with self._book.lock:
            node, generation = self._book.node(), self._book.generation
        used = node.utilizations()
        return CpuState(
            generation=generation,
            test=self._test,
            mechanism=self._capability().mechanism,
            endpoint=self._endpoint,
            lease=self._lease,
            node=node,
            utilization=used,
            complete=all(held.core in used for held in node.reservations),
        )

    def annotations(self) -> dict[str, str | None]:
        """What is published on the Node as annotations."""
        return {CPU_STATE_KEY: format_cpu_state(self.cpu_state())}

    def labels(self) -> dict[str, str | None]:
        """What is published on the Node as labels."""
        return {REAL_TIME_LABEL: "false" if self._capability().problems else "true"}

    def document(self) -> str:
        """The JSON of ``GET /v1/state``: all that is published, in full, and what is enforced."""
        with self._book.lock:
            state, entries = self.cpu_state(), self._book.entries()
            pods = [self._pod(entry) for entry in entries]
        node = state.node
        return format_json(
            {
                "generation": state.generation,
                "test": state.test,
                "mechanism": state.mechanism,
                "problems": list(self._capability().problems),
                "warnings": list(dict.fromkeys((*self._capability().warnings, *self._warnings()))),
                "tick": format_duration(node.tick),
                "platform": node.platform,
                "platform_factor": str(node.platform_factor),
                "node_capacity": str(node.node_capacity),
                "core_capacity": str(node.core_capacity),
                "cores": {
                    str(core_name(core)): str(used) for core, used in state.utilization.items()
                },
                "pods": pods,
            }
        )

    def _pod(self, entry: Entry) -> dict[str, object]:
        threads = self._threads(entry.pod.uid)
        return {
            "uid": entry.pod.uid,
            "namespace": entry.pod.namespace,
            "name": entry.pod.name,
            "criticality": entry.request.workload.criticality.name,
            "phase": entry.phase.value,
            "servers": [server_json(reservation) for reservation in entry.reservations],
            "threads": [
                {"container": container, "task": task, "thread": tid}
                for (container, task), tid in sorted(threads.items())
            ],
        }


def describe_node(node: CpuNode, record: NodeRecord) -> CpuNode:
    """The node with the platform that its operator declared.

    Raises ``InvalidAnnotationError`` for a factor that cannot be understood.
    """
    factor = record.annotations.get(PLATFORM_FACTOR_KEY, "1")
    return replace(
        node,
        platform=record.labels.get(PLATFORM_LABEL, ""),
        platform_factor=parse_platform_factor(factor),
    )
