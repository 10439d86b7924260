"""rt-cgroup as a mechanism, in the containers' own cgroups: no thread is moved.

A reservation's (Q, P) is written into its container's cgroup, those above get budgets that never
bind (``parents``), and the tasks' threads become SCHED_FIFO where they are. The budget exists on
every CPU; pinned threads use it on one. A thread of the container that made itself real-time uses
that same budget, until it is made ordinary again with the next look.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.rt_budget import RtBudgets
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import Held
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.container_cgroups import ContainerCgroups
from daemons.rubicante.mechanisms.rt_cgroup.container_view import (
    ContainerState,
    ContainerView,
    server_figures,
)
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupBackEnd
from daemons.rubicante.mechanisms.rt_cgroup.parent_cgroups import (
    ParentCgroups,
    foreign_bandwidth,
)
from k40s.units import NS_PER_US, MonotonicClock, Nanoseconds


class ContainerBackEnd:
    """Implements ``BackEnd``. ``former`` removes budget groups that another setting left behind.

    ``root`` is the top of the cpu hierarchy. ``attributes`` are the way to SCHED_DEADLINE, which a
    thread may have from a former contract. ``tick`` is δ, ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        system: System,
        files: RtBudgets,
        tree: PodTree,
        root: Path,
        threads: Threads,
        origins: Origins,
        former: GroupBackEnd,
        attributes: Attributes | None = None,
        tick: Nanoseconds,
        clock: MonotonicClock,
    ) -> None:
        self._system = system
        self._files = files
        self._tree = tree
        self._root = root
        self._threads = threads
        self._origins = origins
        self._former = former
        self._attributes = attributes
        self._tick = tick
        self._clock = clock
        self._state = ContainerState(started=clock())

    def view(self, book: Sequence[Held]) -> "ContainerView":
        """All reservations that are enforced in containers' own cgroups."""
        state = self._state
        loads: dict[str, tuple[tuple[int, int], ...]] = {}
        for held in book:
            uid = held.name.pod_uid
            loads[uid] = (*loads.get(uid, ()), server_figures(held))
        names = {held.name for held in book}
        state.unused &= loads.keys()
        state.left = {uid: since for uid, since in state.left.items() if uid in loads}
        state.ended = {name: at for name, at in state.ended.items() if name in names}
        return ContainerView(
            book,
            containers=ContainerCgroups(
                book,
                system=self._system,
                files=self._files,
                tree=self._tree,
                threads=self._threads,
                confirmed=state.confirmed,
            ),
            parents=ParentCgroups(
                loads,
                files=self._files,
                tree=self._tree,
                root=self._root,
                tick=_microseconds(self._tick),
                state=state.parents,
            ),
            state=state,
            threads=self._threads,
            origins=self._origins,
            former=self._former,
            attributes=self._attributes,
            tick=self._tick,
            clock=self._clock,
        )

    def foreign(self) -> Mapping[str, Fraction]:
        """Bandwidth of foreign budgets below kubepods, by name, as they were last found."""
        found = self._state.parents.foreign
        return foreign_bandwidth(found, root=self._root, tick=_microseconds(self._tick))


def _microseconds(time: Nanoseconds) -> int:
    """Rounded up."""
    return -(-time // NS_PER_US)
