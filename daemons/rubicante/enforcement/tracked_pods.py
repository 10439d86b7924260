"""Per-pod enforcement state, and the set of pods with pending events."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemons.rubicante.book.entry import Entry
from daemons.rubicante.enforcement.locator import SLOW_RESCAN
from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.sandboxes import Sandbox
from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.mechanisms.back_end import GroupName, Held, held_by
from k40s.cpu.model import Mechanism
from k40s.kube.records import ContainerState, PodRecord
from k40s.units import MonotonicClock


@dataclass(slots=True)
class Failure:
    """The last failure and its time; ``cause`` is empty where there is none."""

    cause: str = ""
    since: float = 0.0

    def note(self, cause: str, now: float) -> bool:
        """Whether this is another cause than before."""
        if cause == self.cause:
            return False
        self.cause, self.since = cause, now
        return True

    def clear(self) -> None:
        """Forget the failure."""
        self.cause = ""


@dataclass(slots=True)
class PodStatus:
    """The pod as the API server has it; ``since`` is when each container's state began."""

    record: PodRecord | None = None
    since: Mapping[str, float] = field(default_factory=dict)

    def update(self, record: PodRecord | None, now: float) -> bool:
        """Whether the status has changed."""
        before, self.record = self.record, record
        if record is before:
            return False
        names = () if record is None else {*record.all_containers, *record.states}
        self.since = {
            name: self.since.get(name, now) if _run(before, name) == run else now
            for name in names
            if (run := _run(record, name))[1] is not None
        }
        return True


@dataclass(slots=True)
class PodCgroups:
    """A pod's cgroups, as found in the tree.

    ``pod`` is the pod's cgroup, ``containers`` those in it by container id, ``appeared`` when each
    of them came. ``changed`` is when they last did; None without any. ``created`` is when the pod's
    own came: None after all of its tasks were enforced once, and for one older than this process.
    """

    pod: Path | None = None
    containers: Mapping[str, Path] = field(default_factory=dict)
    appeared: Mapping[Path, float] = field(default_factory=dict)
    changed: float | None = None
    created: float | None = None
    _absent: bool = False

    def locate(self, pod: Path | None, now: float) -> bool:
        """Whether the pod's cgroup has come, gone or moved."""
        if pod is not None and self._absent:
            self.created = now
        self._absent = pod is None
        moved, self.pod = pod != self.pod, pod
        return moved

    def update(self, containers: Mapping[str, Path], now: float) -> None:
        """Replaces the known containers."""
        if containers != self.containers:
            self.containers = containers
            self.changed = now if containers else None
            self.appeared = {p: self.appeared.get(p, now) for p in containers.values()}

    def age(self, now: float) -> float:
        """Seconds since containers last changed."""
        return 0.0 if self.changed is None else now - self.changed

    def appeared_at(self, cgroup: Path, now: float) -> float:
        """When a container's cgroup appeared; of one that is gone, when containers last changed."""
        return self.appeared.get(cgroup, now if self.changed is None else self.changed)

    def take_creation(self) -> float | None:
        """When the pod's cgroup came; None from the second call on."""
        created, self.created = self.created, None
        return created


@dataclass(slots=True)
class ReservationState:
    """One reservation on its way to enforcement.

    ``threads`` are enforced, by task; ``stand_ins`` are tasks whose thread is the main one of its
    container. ``missing`` tasks have none, once the container is ``found``, and ``unclear`` ones
    have several candidates; both map to the cause. It was found with ``count`` threads, in a cgroup
    that appeared at ``appeared``. ``failure`` is what the kernel refused. Tasks without a thread
    have been inside ``sandbox`` since ``sandboxed``.
    """

    threads: dict[str, Thread] = field(default_factory=dict)
    stand_ins: frozenset[str] = frozenset()
    found: bool = False
    count: int = 0
    appeared: float = 0.0
    missing: Mapping[str, str] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)
    failure: Failure = field(default_factory=Failure)
    sandbox: Sandbox | None = None
    sandboxed: float = 0.0


@dataclass(slots=True)
class PodEnforcement:
    """Enforcement state: written by ``PodEnforcer``, and cleared when the pod is released.

    ``reserved`` are the reservations of the last look; ``stable`` if no change is expected soon. A
    container's main thread has had other processes beside it since ``crowded``. The pod's cgroup
    was last searched for a ``sandbox`` at ``searched``.
    """

    reservations: dict[GroupName, ReservationState] = field(default_factory=dict)
    reserved: Sequence[Held] = ()
    stable: bool = False
    crowded: dict[str, float] = field(default_factory=dict)
    sandbox: Sandbox | None = None
    searched: float | None = None

    def of(self, held: Held) -> ReservationState:
        """The state of one reservation."""
        return self.reservations.setdefault(held.name, ReservationState())

    def tids(self) -> set[int]:
        """Threads that are enforced."""
        states = self.reservations.values()
        return {thread.tid for state in states for thread in state.threads.values()}

    def clear(self) -> None:
        """The pod's threads are ordinary again."""
        self.reservations, self.reserved = {}, ()


@dataclass(slots=True)
class PodRelease:
    """State of the pod's release: written by ``Releases``.

    ``begun`` says that it was tried since the entry is releasing. SCHED_DEADLINE threads of the pod
    may have run until ``ran_until``. ``failure`` is why it could not be released.
    """

    begun: bool = False
    ran_until: float | None = None
    failure: Failure = field(default_factory=Failure)


@dataclass(slots=True)
class TrackedPod:
    """One pod of the book, by subject.

    ``ran`` says that threads of it may have been real-time. ``unreadable`` is why the last look
    could not be taken, ``looked`` when one last was; the next one is ``due``.
    """

    status: PodStatus = field(default_factory=PodStatus)
    cgroups: PodCgroups = field(default_factory=PodCgroups)
    enforcement: PodEnforcement = field(default_factory=PodEnforcement)
    release: PodRelease = field(default_factory=PodRelease)
    unreadable: Failure = field(default_factory=Failure)
    ran: bool = False
    looked: float = 0.0
    due: float = 0.0

    def note_deadline_use(self, held: Sequence[Held], now: float) -> None:
        """SCHED_DEADLINE threads of the pod, if it has any, may have run until now."""
        used = (one for one in held if one.reservation.mechanism is Mechanism.DEADLINE)
        if any(self.enforcement.of(one).threads for one in used):
            self.release.ran_until = now


def state_of(record: PodRecord | None, container: str) -> ContainerState | None:
    """A container's state by the pod's status; None where that is not known.

    The record of a running pod has no state of a container that runs.
    """
    if record is None:
        return None
    runs = record.phase == "Running" and container in record.task_containers
    return record.states.get(container, ContainerState(running=True) if runs else None)


def _run(record: PodRecord | None, container: str) -> tuple[str, ContainerState | None]:
    """One run of a container, or the time between two."""
    id_ = "" if record is None else record.container_ids.get(container, "")
    return id_, state_of(record, container)


class TrackedPods:
    """The pods of the book. ``clock`` is monotonic, in seconds.

    The tree of cgroups is read when something has appeared in it, and each second.
    """

    def __init__(self, *, tree: PodTree, clock: MonotonicClock) -> None:
        self._tree = tree
        self._clock = clock
        self._pods: dict[str, TrackedPod] = {}
        self._held: dict[str, tuple[Entry, tuple[Held, ...]]] = {}
        self._pending: set[str] = set()
        self._scan_due = 0.0
        self.unreadable = ""

    def of(self, pod_uid: str) -> TrackedPod:
        """One pod; it may be new."""
        pod = self._pods.get(pod_uid)
        if pod is None:
            pod = self._pods[pod_uid] = TrackedPod()
        return pod

    def find(self, pod_uid: str) -> TrackedPod | None:
        """One pod, if it is tracked."""
        return self._pods.get(pod_uid)

    def all(self) -> Collection[TrackedPod]:
        """Every pod."""
        return self._pods.values()

    def held(self, entry: Entry) -> tuple[Held, ...]:
        """The reservations of an entry."""
        known = self._held.get(entry.pod.uid)
        if known is None or known[0] is not entry:
            known = self._held[entry.pod.uid] = entry, held_by(entry)
        return known[1]

    def keep_only(self, uids: Collection[str]) -> None:
        """Forget all other pods, and find the cgroups of these."""
        self._pods = {uid: self.of(uid) for uid in uids}
        self._held = {uid: self._held[uid] for uid in uids if uid in self._held}
        self._scan_due = 0.0

    def note_events(self, directories: Iterable[Path]) -> None:
        """Marks pods whose directories gained or lost a child; others cause a rescan."""
        pods = {pod.cgroups.pod: uid for uid, pod in self._pods.items()}
        for directory in directories:
            uid = pods.get(directory) or pods.get(directory.parent)
            if uid is None:
                self._scan_due = 0.0
            else:
                self._pending.add(uid)

    def make_all_due(self) -> None:
        """Makes every pod due, and a scan of the cgroup tree."""
        self._scan_due = 0.0
        for pod in self._pods.values():
            pod.due = 0.0

    def take_pending(self) -> set[str]:
        """UIDs of the pods with events since the last call."""
        pending, self._pending = self._pending, set()
        return pending

    def scan(self, entries: Sequence[Entry]) -> None:
        """Find the pods' cgroups; a pod whose cgroup has come or gone is due.

        Where the tree cannot be read, ``unreadable`` says why, and the known state is kept.
        """
        now = self._clock()
        if now < self._scan_due or not entries:
            return
        self._scan_due = now + SLOW_RESCAN
        try:
            cgroups = self._tree.pods()
        except OSError as error:
            self.unreadable = str(error)
            return
        self.unreadable = ""
        for entry in entries:
            pod = self.of(entry.pod.uid)
            if pod.cgroups.locate(cgroups.get(entry.pod.uid), now):
                pod.due = 0.0

    def containers(self, pod: TrackedPod) -> dict[str, Path]:
        """A pod's containers, by id. Where there is none, the pod itself may be gone."""
        cgroup = pod.cgroups.pod
        found = {} if cgroup is None else self._tree.containers(cgroup)
        if cgroup is not None and not found:
            self._scan_due = 0.0
        return found

    def watched(self) -> frozenset[Path]:
        """Directories whose next child may be a tracked pod or container.

        They are those that were there when they were last looked at.
        """
        present = [pod for pod in self._pods.values() if not pod.release.begun]
        pods = [pod.cgroups.pod for pod in present if pod.cgroups.pod is not None]
        above = self._tree.above() if len(pods) < len(present) else ()
        return frozenset(above).union(pods, *(p.cgroups.containers.values() for p in present))
