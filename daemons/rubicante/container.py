"""Enforces one container's reservation: finds its tasks' threads and brings them in line."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemons.rubicante.entry import Entry
from daemons.rubicante.kernel.mechanism import GroupName
from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.live_core import Permits
from daemons.rubicante.matching import match
from daemons.rubicante.metrics import EnforcementMetrics
from daemons.rubicante.placement import Kernel, Place
from k40s.cpu.model import Reservation

log = logging.getLogger(__name__)

_STAND_IN_AFTER = 1.0
"""Seconds in which a starting program may name a thread before its main thread is taken.

Its start would take long within the budget."""
_SETTLED_AFTER = 10.0
"""Seconds in which a main thread may still turn out not to be the task's thread."""


@dataclass(slots=True, kw_only=True)
class Followed:
    """One container on its way to enforcement.

    ``seen`` is when the pod's containers (``cgroups``, by id) last changed; None without any.
    """

    cgroups: frozenset[str] = frozenset()
    seen: float | None = None
    due: float = 0.0
    home: Path | None = None
    threads: dict[str, Thread] = field(default_factory=dict)
    affinities: dict[int, frozenset[int]] = field(default_factory=dict)
    failure: str = ""

    def homes(self) -> dict[int, Path]:
        """TID → the cgroup that the thread came from."""
        return {} if self.home is None else {t.tid: self.home for t in self.threads.values()}


class ContainerEnforcer:
    """Acts on the kernel only; ``clock`` is monotonic, in seconds."""

    def __init__(
        self, *, kernel: Kernel, metrics: EnforcementMetrics, clock: Callable[[], float]
    ) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._clock = clock

    def bring_in_line(
        self,
        entry: Entry,
        name: GroupName,
        reservation: Reservation,
        followed: Followed,
        ids: Mapping[str, str],
        *,
        permits: Permits,
    ) -> bool:
        """One container. True when nothing is expected to change soon."""
        self.renew(name, reservation, followed)
        if name in permits.grow or not self._kernel.groups.members(name):
            self._kernel.groups.ensure(name, reservation.server)
        cgroups = self._kernel.containers(entry)
        if cgroups.keys() != followed.cgroups:
            followed.cgroups = frozenset(cgroups)
            followed.seen = self._clock() if cgroups else None
        place = self._kernel.find(
            entry, reservation.container, name, cgroups=cgroups, ids=ids, before=followed.home
        )
        if place is None:
            followed.home, followed.threads = None, {}
            return False
        followed.home = place.cgroup
        tasks = [task.name for task in reservation.tasks]
        main = self._stand_in(place, followed) if len(tasks) == 1 else None
        matched = match(tasks, place.threads, main=main, held=followed.threads)
        enforced = {
            task: matched[task]
            for task, priority in zip(tasks, reservation.priorities, strict=True)
            if task in matched
            and (matched[task].tid in place.inside or reservation.core in permits.enter)
            and self._enforce(matched[task], name, reservation, priority, followed)
        }
        if len(enforced) > len(followed.threads) and followed.seen is not None:
            self._metrics.delay.observe(self._clock() - followed.seen)
        followed.threads = enforced
        self._put_back(name, reservation, place, followed)
        by_name = all(task in enforced and enforced[task].name == task for task in tasks)
        return by_name or (len(enforced) == len(tasks) and self._age(followed) >= _SETTLED_AFTER)

    def _stand_in(self, place: Place, followed: Followed) -> Thread | None:
        """The main thread, once it may stand for a task whose name no thread bears."""
        main = self._kernel.main_thread(place.threads)
        started = place.certain and self._age(followed) >= _STAND_IN_AFTER
        return main if main is not None and (main.tid in place.inside or started) else None

    def _age(self, followed: Followed) -> float:
        return 0.0 if followed.seen is None else self._clock() - followed.seen

    def _enforce(
        self,
        thread: Thread,
        name: GroupName,
        reservation: Reservation,
        priority: int,
        followed: Followed,
    ) -> bool:
        affinity = self._kernel.threads.affinity(thread.tid)
        if affinity != {reservation.core}:
            followed.affinities[thread.tid] = affinity
        done = self._kernel.enforce(
            thread,
            group=name,
            core=reservation.core,
            priority=priority,
        )
        if done and thread not in followed.threads.values():
            log.info(
                "thread enforced",
                extra={
                    "pod": name.pod_uid,
                    "container": reservation.container,
                    "tid": thread.tid,
                    "core": reservation.core,
                    "priority": priority,
                },
            )
        return done

    def _put_back(
        self, name: GroupName, reservation: Reservation, place: Place, followed: Followed
    ) -> None:
        """Send home who is in the group without being a task: children, and former matches."""
        kept = {thread.tid for thread in followed.threads.values()}
        usual = min(followed.affinities.values(), key=sorted, default=self._kernel.cores)
        for tid in set(self._kernel.groups.members(name)) - kept:
            self._kernel.send_home(
                tid,
                core=reservation.core,
                cores=followed.affinities.pop(tid, usual),
                home=place.cgroup,
            )
        living = {thread.tid for thread in place.threads}
        followed.affinities = {t: a for t, a in followed.affinities.items() if t in living}

    def renew(self, name: GroupName, reservation: Reservation, followed: Followed) -> None:
        """Empty a group that is to be made anew, because it must not be changed while it is live.

        That is one of another period, and one with more budget than the book grants.
        """
        has, wanted = self._kernel.groups.server(name), reservation.server
        if has is None or (has.period == wanted.period and has.budget <= wanted.budget):
            return
        if has.period != wanted.period or self._kernel.groups.members(name):
            self._kernel.dismantle(name, followed.homes())
