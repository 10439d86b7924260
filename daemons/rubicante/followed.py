"""What is known of each pod on its way to enforcement, and which of them there is news of."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemons.rubicante.entry import Entry
from daemons.rubicante.kernel.mechanism import GroupName, Held
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.matching import SLOW_RESCAN
from daemons.rubicante.placement import held_by


@dataclass(slots=True)
class Part:
    """One reservation on its way to enforcement.

    ``threads`` are enforced, by task; ``missing`` tasks have none, once the container is ``found``.
    ``failure`` is what the kernel refused last, since ``failed``.
    """

    threads: dict[str, Thread] = field(default_factory=dict)
    found: bool = False
    missing: tuple[str, ...] = ()
    failure: str = ""
    failed: float = 0.0


@dataclass(slots=True)
class Followed:
    """One pod on its way to enforcement.

    ``held`` are the reservations of its ``entry``. ``pod`` is its cgroup, ``seen`` when its
    containers (``cgroups``, by id) last changed, None without any; ``appeared`` when its cgroup
    came, None after all of its tasks were enforced once, and for one older than this process. The
    last look went by ``ids`` and ``reserved`` and came to ``settled``. A ``leaving`` pod was looked
    at as such. Its SCHED_DEADLINE threads may have run until ``dropped``. ``failure`` is why it
    could not be released, since ``failed``.
    """

    entry: Entry | None = None
    held: tuple[Held, ...] = ()
    pod: Path | None = None
    cgroups: Mapping[str, Path] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    reserved: Sequence[Held] = ()
    settled: bool = False
    seen: float | None = None
    absent: bool = False
    appeared: float | None = None
    due: float = 0.0
    leaving: bool = False
    dropped: float | None = None
    parts: dict[GroupName, Part] = field(default_factory=dict)
    failure: str = ""
    failed: float = 0.0

    def part(self, name: GroupName) -> Part:
        """The part of a reservation."""
        return self.parts.setdefault(name, Part())


class Following:
    """The pods of the book. ``clock`` is monotonic, in seconds.

    The tree of cgroups is read when something has appeared in it, and each second.
    """

    def __init__(self, *, tree: PodTree, clock: Callable[[], float]) -> None:
        self._tree = tree
        self._clock = clock
        self._pods: dict[str, Followed] = {}
        self._heard: set[str] = set()
        self._scan_due = 0.0

    def of(self, pod_uid: str) -> Followed:
        """One pod; it may be new."""
        followed = self._pods.get(pod_uid)
        if followed is None:
            followed = self._pods[pod_uid] = Followed()
        return followed

    def find(self, pod_uid: str) -> Followed | None:
        """One pod, if it is followed."""
        return self._pods.get(pod_uid)

    def all(self) -> Collection[Followed]:
        """Every pod."""
        return self._pods.values()

    def held(self, entry: Entry) -> tuple[Held, ...]:
        """The reservations of an entry."""
        followed = self.of(entry.pod.uid)
        if followed.entry is not entry:
            followed.entry, followed.held = entry, held_by(entry)
        return followed.held

    def keep_only(self, uids: Iterable[str]) -> None:
        """Forget all others, and look for the cgroups of those."""
        self._pods = {uid: self._pods[uid] for uid in uids if uid in self._pods}
        self._scan_due = 0.0

    def hear(self, directories: Iterable[Path]) -> None:
        """Something has appeared in these directories, or they are gone."""
        pods = {followed.pod: uid for uid, followed in self._pods.items()}
        for directory in directories:
            uid = pods.get(directory) or pods.get(directory.parent)
            if uid is None:
                self._scan_due = 0.0
            else:
                self._heard.add(uid)

    def hear_all(self) -> None:
        """Something may have happened anywhere: everything is due."""
        self._scan_due = 0.0
        for followed in self._pods.values():
            followed.due = 0.0

    def news(self) -> set[str]:
        """UIDs of the pods that something was heard of since the last call."""
        heard, self._heard = self._heard, set()
        return heard

    def scan(self, entries: Sequence[Entry]) -> None:
        """Find the pods' cgroups; a pod whose cgroup has come or gone is due."""
        now = self._clock()
        if now < self._scan_due or not entries:
            return
        pods = self._tree.pods()
        self._scan_due = now + SLOW_RESCAN
        for entry in entries:
            followed, pod = self.of(entry.pod.uid), pods.get(entry.pod.uid)
            if pod is not None and followed.absent:
                followed.appeared = now
            if pod != followed.pod:
                followed.pod, followed.due = pod, 0.0
            followed.absent = pod is None

    def cgroups(self, followed: Followed) -> dict[str, Path]:
        """A pod's containers, by id. Where there is none, the pod itself may be gone."""
        found = {} if followed.pod is None else self._tree.containers(followed.pod)
        if followed.pod is not None and not found:
            self._scan_due = 0.0
        return found

    def watched(self) -> frozenset[Path]:
        """Directories whose next child may be a followed pod or container.

        They are those that were there when they were last looked at.
        """
        present = [f for f in self._pods.values() if not f.leaving]
        pods = [f.pod for f in present if f.pod is not None]
        above = self._tree.above() if len(pods) < len(present) else ()
        return frozenset(above).union(pods, *(f.cgroups.values() for f in present))
