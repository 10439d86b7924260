"""Keys that k40s writes or reads on Pods and Nodes; docs/annotations.md says who writes them."""

from collections.abc import Mapping

CRITICALITY_KEY = "k40s.io/criticality"
"""Pod annotation or label, by the application team: ``NO``, ``LOW`` or ``HI``."""
TASKS_KEY = "k40s.io/tasks"
"""Pod annotation, by the application team: JSON list of real-time tasks."""
ENFORCEMENT_KEY = "k40s.io/enforcement"
"""Pod annotation, by the application team: the mechanism that enforces its tasks."""
METRIC_KEY = "k40s.io/metric"
"""Pod annotation, by the application team: a metric of its own, by which it reports harm."""
NETWORK_KEY = "k40s.io/network"
"""Pod annotation, by the application team: JSON list of what it needs of networks."""
ALLOCATION_KEY = "status.k40s.io/cpu"
"""Pod annotation, by the extender: the servers that the pod was granted."""
NETWORK_GRANT_KEY = "status.k40s.io/network"
"""Pod annotation, by the extender: the slots and paths that the pod was granted."""
MIGRATION_KEY = "status.k40s.io/migration"
"""Pod annotation, by the controller: the pod is released from its owner, and will be evicted."""
PREEMPTION_KEY = "status.k40s.io/preemption"
"""Pod annotation, by the controller: the node whose room is held for it, and whom it preempts."""
MOVES_KEY = "status.k40s.io/moves"
"""Annotation of the controller's Lease, by its leader: moves that began lately."""
PREEMPTIONS_KEY = "status.k40s.io/preemptions"
"""Annotation of the controller's Lease, by its leader: preemptions that began lately."""
EVICTIONS_KEY = "status.k40s.io/evictions"
"""Annotation of the controller's Lease, by its leader: culprits that were evicted lately."""
ENFORCED_CONDITION = "k40s.io/enforced"
"""Type of a condition of a Pod, by rubicante: whether the kernel enforces all of its tasks."""

REAL_TIME_LABEL = "node.k40s.io/real-time"
"""Node label, by rubicante: ``true`` where budgets are enforced, else ``false``."""
CPU_STATE_KEY = "node.k40s.io/cpu-state"
"""Node annotation, by rubicante: JSON of the per-core state."""
ASSURANCE_KEY = "node.k40s.io/assurance"
"""Node annotation, by malacoda: JSON of the level and its parts."""
ASSURANCE_SINCE_KEY = "node.k40s.io/assurance-since"
"""Node annotation, by malacoda: since when its Lease was renewed without a gap."""
CULPRITS_KEY = "node.k40s.io/culprits"
"""Node annotation, by malacoda: pods whose eviction it asks the controller for."""
CPU_STATE_SINCE_KEY = "node.k40s.io/cpu-state-since"
"""Node annotation, by rubicante: since when its Lease was renewed without a gap."""
NETWORK_STATE_KEY = "node.k40s.io/network-state"
"""Node annotation, by scarmiglione: JSON of the networks that the node is a station of."""
NETWORK_STATE_SINCE_KEY = "node.k40s.io/network-state-since"
"""Node annotation, by scarmiglione: since when its Lease was renewed without a gap."""
PLACEMENT_CHANGED_KEY = "node.k40s.io/placement-changed"
"""Node annotation, by the controller, on any one Node: when something last changed that pods may
wait for and kube-scheduler does not watch."""
XENOMAI_LABEL = "node.k40s.io/xenomai"
"""Node label, by scarmiglione: ``true`` where the kernel runs Xenomai's co-kernel; else absent."""
ASSURANCE_REDUCED_CONDITION = "k40s.io/AssuranceReduced"
"""Type of a condition of a Node, by malacoda: whether a hazard keeps γ below 10, and which."""
ASSURANCE_CLASS_LABEL = "node.k40s.io/assurance-class"
"""Node label, by malacoda: the highest criticality that the node may run."""

GIVE_BACK_LABEL = "k40s.io/give-back"
"""Node label, by the operator: ``true`` returns all that rubicante holds, ``dry-run`` lists it."""
TDMA_LABEL = "k40s.io/tdma"
"""Node label, by the operator: ``true`` has scarmiglione run on the node."""
PLATFORM_LABEL = "k40s.io/platform"
"""Node label, by the operator: the hardware class for tables of WCETs."""
PLATFORM_FACTOR_KEY = "k40s.io/platform-factor"
"""Node annotation, by the operator: scales baselines of LOW workloads, ``3/2`` or ``1.5``."""
HARDWARE_ASSURANCE_KEY = "k40s.io/hardware-assurance"
"""Node annotation, by the operator: α, a whole number from 0 to 5."""
SOFTWARE_ASSURANCE_KEY = "k40s.io/software-assurance"
"""Node annotation, by the operator: β, a whole number from 0 to 5, in place of the proposal."""

ASSURANCE_PROFILE_LABEL = "k40s.io/assurance-profile"
"""Node label, by the operator: the name of the profile that malacoda detects hazards by."""
RUNTIME_LABEL_PREFIX = "runtime.k40s.io/"
"""Node labels, by the operator: ``true`` for each runtime handler, whose name follows, that the
node has. They count where the kubelet does not publish handlers itself."""

POD_KEYS = (CRITICALITY_KEY, TASKS_KEY, ENFORCEMENT_KEY, METRIC_KEY, NETWORK_KEY)
"""Keys of application teams on pods: all as annotations, the criticality as a label too."""

Texts = Mapping[str, str]


def unreached_keys(
    *, labels: Texts, annotations: Texts, pod_labels: Texts, pod_annotations: Texts
) -> tuple[str, ...]:
    """Keys on an owner of pods (a Deployment, a Job) that its pod template lacks or changes."""
    reached = {**pod_annotations}
    if CRITICALITY_KEY in pod_labels:
        reached.setdefault(CRITICALITY_KEY, pod_labels[CRITICALITY_KEY])
    return tuple(
        key
        for key in POD_KEYS
        if any(key in texts and reached.get(key) != texts[key] for texts in (labels, annotations))
    )
