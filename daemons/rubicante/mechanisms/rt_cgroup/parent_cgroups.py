"""Budgets of the cgroups above containers' own: enough never to bind, and given back.

Linux throttles at every level. ``/kubepods[/qos]/pod…`` get ``least_ancestor_budget`` of the
containers below, top down; they keep the period that the kernel gives new groups, so that a group
which kubelet makes again needs no other. A container that has ended may have used its share of a
parent's current period, so a parent is not cut before that period is over.

kubepods and the classes below it are the daemon's to write. A budget in the group of a pod that the
book does not know is foreign: it is counted, reported, and never changed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.rt_budget import RtBudgets
from k40s.cpu.analysis.deferrable_server import least_ancestor_budget
from k40s.cpu.analysis.response_time import ServerParameters
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds

PARENT_PERIOD = Nanoseconds(1000 * NS_PER_MS)
"""The kernel's period of a new group. With it a core loses next to nothing: the kernel's own limit
for all real-time groups of a core holds in the same second.
See docs/adr/0013-containers-own-cgroups.md."""
PERIOD_END_SECONDS = 1.1
"""After that long the period in which a former container may have run is over at every level."""
PERIOD = 1_000_000

Loads = Mapping[str, tuple[ServerParameters, ...]]
"""The servers of each pod's containers, by the pod's UID."""


@dataclass(slots=True)
class ParentState:
    """State of the tree that outlives one snapshot of the book.

    ``last`` is where each pod's group was seen last, ``foreign`` the foreign budgets.
    """

    last: dict[str, Path] = field(default_factory=dict)
    foreign: Mapping[Path, ServerParameters] = field(default_factory=dict)


class ParentCgroups:
    """``root`` is the top of the cpu hierarchy, ``tick`` is δ in microseconds.

    ``loads`` are what all pods of the book need. Where pods are, and what each level needs, is
    found once. ``state`` outlives this.
    """

    def __init__(
        self,
        loads: Loads,
        *,
        files: RtBudgets,
        tree: PodTree,
        root: Path,
        tick: int,
        state: ParentState,
    ) -> None:
        self._files = files
        self._tree = tree
        self._root = root
        self._tick = tick
        self._loads = loads
        self._state = state
        self._pods: Mapping[str, Path] | None = None
        self._needed: Mapping[Path, int] | None = None
        for uid in state.last.keys() - loads.keys():
            del state.last[uid]

    def pod(self, uid: str) -> Path | None:
        """A pod's group, if it is there."""
        if self._pods is None:
            self._pods = self._tree.pods()
        return self._pods.get(uid)

    def find_foreign(self, *, reserved: Collection[Path], unclear: Collection[str]) -> None:
        """Find foreign budgets: in unknown pods' groups, and in containers of known pods.

        ``reserved`` are the cgroups of reservations; in ``unclear`` pods (UIDs) it is not known yet
        which those are.
        """
        found = {}
        for uid, pod in self._tree.pods().items():
            if uid in unclear:
                continue
            groups = self._tree.containers(pod).values() if uid in self._loads else (pod,)
            for group in groups:
                figures = self._files.read(group)
                if figures is not None and figures[0] > 0 and group not in reserved:
                    found[group] = figures
        self._state.foreign, self._needed = found, None

    def foreign(self) -> dict[str, Fraction]:
        """The node's bandwidth that foreign budgets take, by name, as last found."""
        return foreign_bandwidth(self._state.foreign, root=self._root, tick=self._tick)

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
        ``PERIOD_END_SECONDS``.
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
        """The budget that each level needs.

        A pod without a group yet counts for what all have in common; one whose group has gone
        counts where it was, because its share of the present period may be used.
        """
        self._pods = self._tree.pods()
        self._state.last.update((uid, self._pods[uid]) for uid in loads if uid in self._pods)
        top = self._top()
        below = [(self._state.last.get(uid) or top, servers) for uid, servers in loads.items()]
        below += [(group.parent, (server,)) for group, server in self._state.foreign.items()]
        needs: dict[Path, int] = {}
        for lowest, servers in below:
            for level in () if lowest is None else self._chain(lowest):
                needs[level] = needs.get(level, 0) + self._need(servers)
        return needs

    def _need(self, servers: Sequence[ServerParameters]) -> int:
        return least_ancestor_budget(servers, PERIOD, self._tick)

    def _top(self) -> Path | None:
        return next(iter(self._tree.above_pods()), None)

    def _chain(self, lowest: Path) -> tuple[Path, ...]:
        """A group and those above it but the root, highest first."""
        groups = (lowest, *lowest.parents)
        return tuple(reversed([path for path in groups if self._root in path.parents]))


def foreign_bandwidth(
    foreign: Mapping[Path, ServerParameters], *, root: Path, tick: int
) -> dict[str, Fraction]:
    """The node's bandwidth that foreign budgets take, by the path of their group."""
    return {
        str(group.relative_to(root)): Fraction(
            least_ancestor_budget([server], PERIOD, tick), PERIOD
        )
        for group, server in foreign.items()
    }
