"""Why a pod is refused: stable codes with constant texts.

The codes are API: metric labels, HTTP bodies and documentation use them, and they are never
changed or reused. The texts are constant as well, because kube-scheduler retries a pod at once
whenever the text of its refusal differs from the last one; figures go to logs and HTTP answers.
"""

from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """A reason for refusing a pod on a node. ``text`` is what the pod's event shows."""

    ASSURANCE_TOO_LOW = "assurance.too-low"
    ASSURANCE_STALE = "assurance.stale"
    ASSURANCE_UNKNOWN = "assurance.unknown"
    CPU_NO_REAL_TIME = "cpu.no-real-time"
    CPU_NO_MECHANISM = "cpu.no-mechanism"
    CPU_CORE_UNKNOWN = "cpu.core-unknown"
    CPU_STATE_STALE = "cpu.state-stale"
    CPU_STATE_UNKNOWN = "cpu.state-unknown"
    CPU_NO_ANSWER = "cpu.no-answer"
    CPU_TEST_FAILED = "cpu.test-failed"
    CPU_KERNEL_REFUSED = "cpu.kernel-refused"
    CPU_NO_BANDWIDTH = "cpu.no-bandwidth"
    CPU_NODE_BANDWIDTH = "cpu.node-bandwidth"
    CPU_NOT_SCHEDULABLE = "cpu.not-schedulable"
    CPU_NO_PRIORITY = "cpu.no-priority"
    CPU_NO_WCET = "cpu.no-wcet"
    CPU_STALE_GENERATION = "cpu.stale-generation"
    CPU_DAEMON_SILENT = "cpu.daemon-silent"
    POD_INVALID = "pod.invalid-annotation"
    POD_UNKNOWN = "pod.unknown"
    POD_ELSEWHERE = "pod.bound-elsewhere"
    NODE_UNKNOWN = "node.unknown"

    @property
    def text(self) -> str:
        """One constant sentence for events, without figures."""
        return _TEXTS[self]


RETIRED = frozenset({"cpu.test-unknown"})
"""Codes that were given once. They never come back with another meaning."""

_TEXTS = {
    Reason.ASSURANCE_TOO_LOW: "the node's assurance is below what the pod's criticality needs",
    Reason.ASSURANCE_STALE: "the node's assurance is older than its lease",
    Reason.ASSURANCE_UNKNOWN: "the node publishes no valid assurance",
    Reason.CPU_NO_REAL_TIME: "the node cannot enforce real-time budgets",
    Reason.CPU_NO_MECHANISM: "the node does not offer the enforcement that the pod asks for",
    Reason.CPU_CORE_UNKNOWN: "a task asks for a core that takes no reservations",
    Reason.CPU_STATE_STALE: "the node's real-time CPU state is older than its lease",
    Reason.CPU_STATE_UNKNOWN: "the node publishes no valid real-time CPU state",
    Reason.CPU_NO_ANSWER: "the node was asked whether it admits the pod and gave no valid answer",
    Reason.CPU_TEST_FAILED: "the node's own admission test failed",
    Reason.CPU_KERNEL_REFUSED: "the node's kernel refuses what the node had offered",
    Reason.CPU_NO_BANDWIDTH: "no core of the node has the real-time bandwidth left",
    Reason.CPU_NODE_BANDWIDTH: "the node's real-time bandwidth over all cores is used up",
    Reason.CPU_NOT_SCHEDULABLE: "a deadline could be missed on every core of the node",
    Reason.CPU_NO_PRIORITY: "the core has no real-time priorities left",
    Reason.CPU_NO_WCET: "a task has no WCET for the node's platform",
    Reason.CPU_STALE_GENERATION: "the node's real-time CPU state has changed meanwhile",
    Reason.CPU_DAEMON_SILENT: "the node's CPU admission daemon does not answer",
    Reason.POD_INVALID: "the pod's k40s annotations are invalid",
    Reason.POD_UNKNOWN: "the pod does not exist",
    Reason.POD_ELSEWHERE: "the pod is bound to another node",
    Reason.NODE_UNKNOWN: "the node is not in the scheduler extender's cache",
}
