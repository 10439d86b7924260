"""Budgets of the cgroups above containers' own: enough never to bind, and given back.

Linux throttles at every level. ``/kubepods[/qos]/pod…`` get what ``k40s.cpu.nesting`` says of the
containers below, top down; they keep the period that the kernel gives new groups, so that a group
which kubelet makes anew needs no other. A container that has ended may have used its share of an
ancestor's current period, so an ancestor is not cut before that period is over.

kubepods and the classes below it are the daemon's to write. A budget in the group of a pod that
the book does not know is somebody else's: it is counted, told, and never touched.
"""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_files import RtFiles
from k40s.cpu.hierarchy import ServerFigures
from k40s.cpu.nesting import least_ancestor_budget
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds

ANCESTOR_PERIOD = Nanoseconds(1000 * NS_PER_MS)
"""What the kernel gives a new group. With it a core loses next to nothing: the kernel's own limit
for all real-time groups of a core holds in the same second.
See docs/adr/0013-containers-own-cgroups.md."""
SETTLE_SECONDS = 1.1
"""After that long the period in which a former container may have run is over at every level."""
PERIOD = 1_000_000

Loads = Mapping[str, tuple[ServerFigures, ...]]
"""The servers of each pod's containers, by the pod's UID."""


class Ancestors:
    """``root`` is the top of the cpu hierarchy, ``tick`` is δ in microseconds.

    Where pods are, and what each level needs, is found once after each ``know``.
    """

    def __init__(self, *, files: RtFiles, tree: PodTree, root: Path, tick: int) -> None:
        self._files = files
        self._tree = tree
        self._root = root
        self._tick = tick
        self._loads: Loads = {}
        self._pods: Mapping[str, Path] | None = None
        self._places: dict[str, Path] = {}
        self._needed: Mapping[Path, int] | None = None
        self._foreign: Mapping[Path, ServerFigures] = {}

    def know(self, loads: Loads) -> None:
        """What all pods of the book need."""
        self._loads, self._pods, self._needed = loads, None, None
        self._places = {uid: place for uid, place in self._places.items() if uid in loads}

    def pod(self, uid: str) -> Path | None:
        """A pod's group, if it is there."""
        if self._pods is None:
            self._pods = self._tree.pods()
        return self._pods.get(uid)

    def find_foreign(self, *, ours: Collection[Path], unclear: Collection[str]) -> None:
        """Look for budgets of others: in unknown pods' groups, and in containers of known pods.

        ``ours`` are the cgroups of reservations; in ``unclear`` pods (UIDs) it is not known yet
        which those are.
        """
        found = {}
        for uid, pod in self._tree.pods().items():
            if uid in unclear:
                continue
            groups = self._tree.containers(pod).values() if uid in self._loads else (pod,)
            for group in groups:
                figures = self._files.read(group)
                if figures is not None and figures[0] > 0 and group not in ours:
                    found[group] = figures
        self._foreign, self._needed = found, None

    def foreign(self) -> dict[str, Fraction]:
        """What they take of the node's bandwidth, by name, as they were last found."""
        return {
            str(group.relative_to(self._root)): Fraction(self._need([server]), PERIOD)
            for group, server in self._foreign.items()
        }

    def provide(self, lowest: Path | None = None, *, patience: float = 0.0) -> None:
        """Give what is needed down to a pod's group, or to what all pods have in common.

        Nothing is ever lowered. Raises ``KernelError``, also where there are no kubepods.
        """
        group = lowest or self._top()
        if group is None:
            raise KernelError("kubelet has made no kubepods group")
        if self._needed is None or group not in self._needed:
            self._needed = self._needs(self._loads)
        for level in self._chain(group):
            has, need = self._files.read(level), self._needed.get(level, 0)
            if has is not None and need and (has[0] < need or has[1] != PERIOD):
                self._files.give(level, max(has[0], need), PERIOD, patience=patience)

    def has_excess(self) -> bool:
        """Whether a group above containers has more than is needed."""
        return bool(self._excess(self._loads))

    def lower(self, leaving: str | None = None) -> bool:
        """Take back what is not needed, lowest first, and what a leaving pod (UID) needed.

        False where the kernel refuses yet: what was below has gone and still counts for some
        milliseconds. Only to be called when nothing else but what is needed has run for
        ``SETTLE_SECONDS``.
        """
        loads = dict(self._loads)
        if leaving is not None:
            loads[leaving] = ()
        done = True
        for level, need in self._excess(loads).items():
            try:
                self._files.give(level, need, PERIOD)
            except KernelError:
                done = False
        return done

    def _excess(self, loads: Loads) -> dict[Path, int]:
        """Levels that have more than is needed, lowest first, and what they need."""
        needs, pods = self._needs(loads), self._tree.pods()
        levels = {level for group in self._tree.above_pods() for level in self._chain(group)}
        levels |= {pods[uid] for uid in loads if uid in pods}
        found = {}
        for level in sorted(levels, key=lambda path: -len(path.parts)):
            has = self._files.read(level)
            if has is not None and has[0] > needs.get(level, 0) and has[1] == PERIOD:
                found[level] = needs.get(level, 0)
        return found

    def _needs(self, loads: Loads) -> dict[Path, int]:
        """What each level needs.

        A pod without a group yet counts for what all have in common; one whose group has gone
        counts where it was, because its share of the present period may be used.
        """
        self._pods = self._tree.pods()
        self._places.update((uid, self._pods[uid]) for uid in loads if uid in self._pods)
        top = self._top()
        below = [(self._places.get(uid) or top, servers) for uid, servers in loads.items()]
        below += [(group.parent, (server,)) for group, server in self._foreign.items()]
        needs: dict[Path, int] = {}
        for lowest, servers in below:
            for level in () if lowest is None else self._chain(lowest):
                needs[level] = needs.get(level, 0) + self._need(servers)
        return needs

    def _need(self, servers: Sequence[ServerFigures]) -> int:
        return least_ancestor_budget(servers, PERIOD, self._tick)

    def _top(self) -> Path | None:
        return next(iter(self._tree.above_pods()), None)

    def _chain(self, lowest: Path) -> tuple[Path, ...]:
        """A group and those above it but the root, highest first."""
        groups = (lowest, *lowest.parents)
        return tuple(reversed([path for path in groups if self._root in path.parents]))
