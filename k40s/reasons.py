"""Why a pod is refused: stable codes with constant texts.

The codes are API: metric labels, HTTP bodies and documentation use them, and they are never
changed or reused. The texts are constant as well, because kube-scheduler retries a pod at once
whenever the text of its refusal differs from the last one; figures go to logs and HTTP answers.
(Filter adds to ``ASSURANCE_HAZARD`` the metrics that the Node names, which change with it alone.)

A new reason also has a row in docs/reasons.md, in this order. Where it is returned decides what
else lists it: ``k40s.cpu.admission.admit`` (which of several reasons is reported),
``TRANSIENT`` below, ``extender.binding.reservation`` (those that do not
depend on a node's state), ``daemons.rubicante.api.failures`` (failures of a node's daemon).
"""

from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """A reason for refusing a pod on a node. ``text`` is what the pod's event shows."""

    ASSURANCE_TOO_LOW = "assurance.too-low"
    ASSURANCE_HAZARD = "assurance.hazard"
    ASSURANCE_STALE = "assurance.stale"
    ASSURANCE_UNKNOWN = "assurance.unknown"
    ASSURANCE_INVALID = "assurance.invalid"
    ASSURANCE_NO_LEASE = "assurance.no-lease"
    CPU_NO_REAL_TIME = "cpu.no-real-time"
    CPU_NO_MECHANISM = "cpu.no-mechanism"
    CPU_CORE_UNKNOWN = "cpu.core-unknown"
    CPU_STATE_STALE = "cpu.state-stale"
    CPU_STATE_UNKNOWN = "cpu.state-unknown"
    CPU_STATE_INVALID = "cpu.state-invalid"
    CPU_NO_LEASE = "cpu.no-lease"
    CPU_PLATFORM_CHANGED = "cpu.platform-changed"
    CPU_NO_ANSWER = "cpu.no-answer"
    CPU_TEST_FAILED = "cpu.test-failed"
    CPU_KERNEL_REFUSED = "cpu.kernel-refused"
    CPU_NO_BANDWIDTH = "cpu.no-bandwidth"
    CPU_NODE_BANDWIDTH = "cpu.node-bandwidth"
    CPU_NOT_SCHEDULABLE = "cpu.not-schedulable"
    CPU_NO_PRIORITY = "cpu.no-priority"
    CPU_ANALYSIS_LIMIT = "cpu.analysis-limit"
    CPU_TOO_MANY_TASKS = "cpu.too-many-tasks"
    CPU_RESERVED_FOR_HI = "cpu.reserved-for-hi"
    CPU_CORE_CHANGING = "cpu.core-changing"
    CPU_NO_WCET = "cpu.no-wcet"
    CPU_STALE_GENERATION = "cpu.stale-generation"
    CPU_DAEMON_SILENT = "cpu.daemon-silent"
    CPU_DAEMON_BUSY = "cpu.daemon-busy"
    CPU_DAEMON_UNTRUSTED = "cpu.daemon-untrusted"
    CPU_DAEMON_FORBIDS = "cpu.daemon-forbids"
    CPU_DAEMON_INVALID = "cpu.daemon-invalid"
    CPU_DAEMON_FAILED = "cpu.daemon-failed"
    CPU_DAEMON_STARTING = "cpu.daemon-starting"
    CPU_DAEMON_CUT_OFF = "cpu.daemon-cut-off"
    CPU_STORE_FAILED = "cpu.store-failed"
    CPU_GRANT_DIFFERS = "cpu.grant-differs"
    CPU_KERNEL_FAILED = "cpu.kernel-failed"
    NETWORK_UNKNOWN = "network.unknown"
    NETWORK_INVALID = "network.invalid"
    NETWORK_NOT_MEMBER = "network.not-member"
    NETWORK_NO_DAEMON = "network.no-daemon"
    NETWORK_STATE_STALE = "network.state-stale"
    NETWORK_STATE_INVALID = "network.state-invalid"
    NETWORK_NO_MECHANISM = "network.no-mechanism"
    NETWORK_UNHEALTHY = "network.unhealthy"
    NETWORK_NO_SLOT = "network.no-slot"
    NETWORK_INEXPRESSIBLE = "network.inexpressible"
    NETWORK_NO_CHANNEL = "network.no-channel"
    NETWORK_PEER_UNPLACED = "network.peer-unplaced"
    NETWORK_NO_PATH = "network.no-path"
    NETWORK_DELAY = "network.delay"
    NETWORK_CAPACITY = "network.capacity"
    NETWORK_CONFLICTS = "network.conflicts"
    NETWORK_FULL = "network.full"
    NETWORK_STATION_SILENT = "network.station-silent"
    NETWORK_STATION_REFUSED = "network.station-refused"
    NETWORK_STATION_FAILED = "network.station-failed"
    CLAIM_HELD = "claim.held"
    TENANT_CRITICALITY = "tenant.criticality"
    TENANT_BANDWIDTH = "tenant.bandwidth"
    TENANT_HI_PODS = "tenant.hi-pods"
    TENANT_INVALID = "tenant.invalid"
    TENANT_CONFLICTS = "tenant.conflicts"
    TENANT_FULL = "tenant.full"
    ISOLATION_CLASS = "isolation.class"
    ISOLATION_NO_RUNTIME = "isolation.no-runtime"
    POD_INVALID = "pod.invalid-annotation"
    POD_UNKNOWN = "pod.unknown"
    POD_ELSEWHERE = "pod.bound-elsewhere"
    POD_CHANGED = "pod.changed"
    POD_WITHDRAWN = "pod.withdrawn"
    POD_BIND_EXPIRED = "pod.bind-expired"
    POD_UNREADABLE = "pod.unreadable"
    NODE_UNKNOWN = "node.unknown"
    API_SILENT = "api.silent"
    API_REFUSED = "api.refused"

    @property
    def text(self) -> str:
        """One constant sentence for events, without figures."""
        return _TEXTS[self]


TRANSIENT = (
    Reason.CPU_NO_ANSWER,
    Reason.CPU_TEST_FAILED,
    Reason.CPU_DAEMON_SILENT,
    Reason.CPU_DAEMON_BUSY,
    Reason.CPU_DAEMON_UNTRUSTED,
    Reason.CPU_DAEMON_FORBIDS,
    Reason.CPU_DAEMON_INVALID,
    Reason.CPU_DAEMON_FAILED,
    Reason.CPU_DAEMON_STARTING,
    Reason.CPU_DAEMON_CUT_OFF,
    Reason.CPU_STORE_FAILED,
    Reason.CPU_KERNEL_FAILED,
    Reason.API_SILENT,
)
"""Refusals that end without an event, so that the scheduler has to retry by itself."""

RETIRED = frozenset({"cpu.test-unknown"})
"""Codes that were given once. They never come back with another meaning."""

NOT_ADMITTED = (
    "the pod has real-time tasks and no reservation, because k40s has not placed it on this node: "
    "its threads run as ordinary ones and any deadline may be missed; "
    "delete it, and create it with schedulerName: k40s-scheduler"
)
"""Message for the owner of a pod without a grant, the same from every process."""

_TEXTS = {
    Reason.ASSURANCE_TOO_LOW: "the node's assurance is below what the pod's criticality needs",
    Reason.ASSURANCE_HAZARD: (
        "a hazard on the node keeps its assurance below what the pod's criticality needs"
    ),
    Reason.ASSURANCE_STALE: "the node's assurance is older than its lease",
    Reason.ASSURANCE_UNKNOWN: "the node publishes no valid assurance",
    Reason.ASSURANCE_INVALID: "the node's published assurance cannot be understood",
    Reason.ASSURANCE_NO_LEASE: "the node's assurance monitor holds no lease",
    Reason.CPU_NO_REAL_TIME: "the node cannot enforce real-time budgets",
    Reason.CPU_NO_MECHANISM: "the node does not offer the enforcement that the pod asks for",
    Reason.CPU_CORE_UNKNOWN: "a task asks for a core that takes no reservations",
    Reason.CPU_STATE_STALE: "the node's real-time CPU state is older than its lease",
    Reason.CPU_STATE_UNKNOWN: "the node publishes no valid real-time CPU state",
    Reason.CPU_STATE_INVALID: "the node's published real-time CPU state cannot be understood",
    Reason.CPU_NO_LEASE: "the node's CPU admission daemon holds no lease",
    Reason.CPU_PLATFORM_CHANGED: "the node's platform is not the one of its real-time CPU state",
    Reason.CPU_NO_ANSWER: "the node was asked whether it admits the pod and gave no valid answer",
    Reason.CPU_TEST_FAILED: "the node's own admission test failed",
    Reason.CPU_KERNEL_REFUSED: "the node's kernel refuses what the node had offered",
    Reason.CPU_NO_BANDWIDTH: "no core of the node has the real-time bandwidth left",
    Reason.CPU_NODE_BANDWIDTH: "the node's real-time bandwidth over all cores is used up",
    Reason.CPU_NOT_SCHEDULABLE: "a deadline could be missed on every core of the node",
    Reason.CPU_NO_PRIORITY: "the core has no real-time priorities left",
    Reason.CPU_ANALYSIS_LIMIT: "the pod takes more steps to judge than an admission may take",
    Reason.CPU_TOO_MANY_TASKS: "every core serves as many real-time tasks as it may",
    Reason.CPU_RESERVED_FOR_HI: "what is left of the node is kept for HI pods",
    Reason.CPU_CORE_CHANGING: "servers of the node are being exchanged to make room for a pod",
    Reason.CPU_NO_WCET: "a task has no WCET for the node's platform",
    Reason.CPU_STALE_GENERATION: "the node's real-time CPU state has changed meanwhile",
    Reason.CPU_DAEMON_SILENT: "the node's CPU admission daemon does not answer",
    Reason.CPU_DAEMON_BUSY: "the node's CPU admission daemon did not answer in time",
    Reason.CPU_DAEMON_UNTRUSTED: "TLS with the node's CPU admission daemon failed: a certificate",
    Reason.CPU_DAEMON_FORBIDS: "the node's CPU admission daemon does not serve this extender",
    Reason.CPU_DAEMON_INVALID: "the node's CPU admission daemon gave an answer of another form",
    Reason.CPU_DAEMON_FAILED: "the node's CPU admission daemon failed and did not say why",
    Reason.CPU_DAEMON_STARTING: "the node's CPU admission daemon is starting",
    Reason.CPU_DAEMON_CUT_OFF: "the node's CPU admission daemon does not reach the API server",
    Reason.CPU_STORE_FAILED: "the node's CPU admission daemon cannot write down reservations",
    Reason.CPU_GRANT_DIFFERS: "the node granted something else than what the pod asks for",
    Reason.CPU_KERNEL_FAILED: "the node's kernel failed to set up the reservation",
    Reason.NETWORK_UNKNOWN: "a network that the pod requires does not exist",
    Reason.NETWORK_INVALID: (
        "a network that the pod requires is declared wrongly; its conditions name the field"
    ),
    Reason.NETWORK_NOT_MEMBER: "the node is not a member of a network that the pod requires",
    Reason.NETWORK_NO_DAEMON: (
        "no network daemon has published the node's networks, or its Lease is missing"
    ),
    Reason.NETWORK_STATE_STALE: "the node's network daemon is silent",
    Reason.NETWORK_STATE_INVALID: (
        "the state published by the node's network daemon cannot be understood"
    ),
    Reason.NETWORK_NO_MECHANISM: (
        "the node has no means to keep slots of a network that the pod requires"
    ),
    Reason.NETWORK_UNHEALTHY: (
        "the node's station on a network that the pod requires is not healthy"
    ),
    Reason.NETWORK_NO_SLOT: "no place in the network's cycle is free for the pod's slot",
    Reason.NETWORK_INEXPRESSIBLE: (
        "the network's cycle cannot express the slot that the pod requires"
    ),
    Reason.NETWORK_NO_CHANNEL: "the node's station has no free channel for another slot",
    Reason.NETWORK_PEER_UNPLACED: "a peer that the pod requires does not run on any node yet",
    Reason.NETWORK_NO_PATH: "the network has no path from the node to a peer that the pod requires",
    Reason.NETWORK_DELAY: "the delay from the node to a peer is longer than the pod allows",
    Reason.NETWORK_CAPACITY: "no path to a peer has the bandwidth left that the pod requires",
    Reason.NETWORK_CONFLICTS: "too many others reserved on the network at the same time",
    Reason.NETWORK_FULL: "the network's object has no room for what the pod would reserve",
    Reason.NETWORK_STATION_SILENT: "the node's network daemon does not answer",
    Reason.NETWORK_STATION_REFUSED: "the node's network daemon refused the pod's slots",
    Reason.NETWORK_STATION_FAILED: "the node's station failed to set up the pod's slots",
    Reason.CLAIM_HELD: "what the pod would take is held for a pod that is about to be bound there",
    Reason.TENANT_CRITICALITY: "the pod's namespace may not use this criticality",
    Reason.TENANT_BANDWIDTH: "the pod's namespace has used up its real-time bandwidth",
    Reason.TENANT_HI_PODS: "the pod's namespace has as many HI pods as it may",
    Reason.TENANT_INVALID: (
        "the bounds of the pod's namespace are declared wrongly; the Tenant's conditions say where"
    ),
    Reason.TENANT_CONFLICTS: "too many others of the tenant were bound at the same time",
    Reason.TENANT_FULL: "the Tenant's object has no room for another pod",
    Reason.ISOLATION_CLASS: "the pod's runtime class is not the one that its criticality needs",
    Reason.ISOLATION_NO_RUNTIME: "the node lacks the runtime that the pod's criticality needs",
    Reason.POD_INVALID: "the pod's k40s annotations are invalid",
    Reason.POD_UNKNOWN: "the pod does not exist",
    Reason.POD_ELSEWHERE: "the pod is bound to another node",
    Reason.POD_CHANGED: "the pod changed while it was being bound",
    Reason.POD_WITHDRAWN: "the bind that asked for this reservation was given up",
    Reason.POD_BIND_EXPIRED: "the bind took longer than what it reserved is held",
    Reason.POD_UNREADABLE: "the pod's object at the API server cannot be understood",
    Reason.NODE_UNKNOWN: "the node is not in the scheduler extender's cache",
    Reason.API_SILENT: "the API server does not answer",
    Reason.API_REFUSED: "the API server refuses the scheduler extender's request",
}
