"""Enforces one pod's reservations: finds its tasks' threads and brings them in line."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemons.rubicante.entry import Entry
from daemons.rubicante.followed import Followed
from daemons.rubicante.kernel.mechanism import GroupName, Held, Home
from daemons.rubicante.kernel.threads import NAME_BYTES, Thread
from daemons.rubicante.live_core import Permits
from daemons.rubicante.matching import match
from daemons.rubicante.metrics import EnforcementMetrics
from daemons.rubicante.placement import Kernel, Place
from k40s.errors import KernelError

log = logging.getLogger(__name__)

_STAND_IN_AFTER = 1.0
"""Seconds in which a program may name a thread; in a budget, its start would take long."""
SETTLED_AFTER = 10.0
"""Seconds in which a main thread may still turn out not to be the task's thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at one pod; ``failures`` are what the kernel refused in it."""

    entry: Entry
    reserved: Sequence[Held]
    followed: Followed
    permits: Permits
    members: dict[GroupName, tuple[int, ...]] = field(default_factory=dict)
    failures: dict[GroupName, str] = field(default_factory=dict)

    def inside(self, held: Held) -> set[int]:
        """TIDs that run by this reservation already, or by its like for another container."""
        alike = (h.name for h in self.reserved if h.is_like(held))
        return {tid for name in alike for tid in self.members.get(name, ())}


class PodEnforcer:
    """Acts on the kernel only; ``clock`` is monotonic, in seconds."""

    def __init__(
        self, *, kernel: Kernel, metrics: EnforcementMetrics, clock: Callable[[], float]
    ) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._clock = clock
        self._told: list[tuple[Held, int, Thread]] = []

    def bring_in_line(
        self,
        entry: Entry,
        followed: Followed,
        *,
        reserved: Sequence[Held],
        cgroups: Mapping[str, Path],
        ids: Mapping[str, str],
        permits: Permits,
    ) -> None:
        """One pod, with all its reservations; settled when nothing is expected to change soon.

        ``cgroups`` are those of the pod's containers, by id, ``ids`` what its status tells. What
        the kernel refuses concerns one reservation; it is told once and noted in its part.
        """
        look = _Look(entry=entry, reserved=reserved, followed=followed, permits=permits)
        followed.ids, followed.reserved = ids, reserved
        if cgroups != followed.cgroups:
            followed.cgroups = cgroups
            followed.seen = self._clock() if cgroups else None
        for held in reserved:
            with self._noting(held, look):
                self._kernel.of(held).provide(held, grow=held.name in permits.grow)
            look.members[held.name] = self._kernel.of(held).members(held)
        settled = True
        for container in dict.fromkeys(h.reservation.container for h in reserved):
            place = self._kernel.find(entry, container, look.members, cgroups=cgroups, ids=ids)
            settled &= self._enforce(container, place, look)
        self._put_back(look)
        for held in reserved:
            followed.part(held.name).failure = look.failures.get(held.name, "")
        followed.settled = settled and not look.failures
        if followed.appeared is not None and _is_complete(followed, reserved):
            self._metrics.lag.observe(self._clock() - followed.appeared)
            followed.appeared = None

    def tell(self) -> None:
        """Log what was enforced: after all that was to be done, for a line takes its time too."""
        told, self._told = self._told, []
        for held, position, thread in told:
            _tell(held, position, thread)

    def _enforce(self, container: str, place: Place | None, look: _Look) -> bool:
        """One container: which thread is which task, and each where it belongs."""
        mine = [h for h in look.reserved if h.reservation.container == container]
        parts = [look.followed.part(held.name) for held in mine]
        if place is None:
            for part in parts:
                part.threads, part.found = {}, False
            return False
        tasks = [task.name for held in mine for task in held.reservation.tasks]
        before = {task: thread for part in parts for task, thread in part.threads.items()}
        matched = match(tasks, place.threads, main=None, held=before)
        if len(tasks) == 1 and not matched:
            main = self._stand_in(place, look)
            matched = match(tasks, place.threads, main=main, held=before)
        for held in mine:
            if held.name not in look.failures:
                with self._noting(held, look):
                    self._enforce_part(held, matched, place, look)
        enforced = {task: thread for part in parts for task, thread in part.threads.items()}
        if len(enforced) < len(tasks):
            return False
        by_name = all(enforced[task].name == task[:NAME_BYTES] for task in tasks)
        return by_name or self._age(look.followed) >= SETTLED_AFTER

    def _enforce_part(
        self, held: Held, matched: Mapping[str, Thread], place: Place, look: _Look
    ) -> None:
        part, back_end = look.followed.part(held.name), self._kernel.of(held)
        inside, home = look.inside(held), Home(pod=place.cgroup.parent, cgroup=place.cgroup)
        given, tasks = back_end.given(held), held.reservation.tasks
        enough = given is not None and given.budget >= held.reservation.server.budget
        ready = enough and look.permits.may_enter(held.reservation)
        enforced: dict[str, Thread] = {}
        for position, task in enumerate(tasks):
            thread = matched.get(task.name)
            if (
                thread is not None
                and (ready or thread.tid in inside)
                and back_end.enforce(thread, held, position=position, home=home)
            ):
                enforced[task.name] = thread
                if thread not in part.threads.values():
                    self._told.append((held, position, thread))
        if len(enforced) > len(part.threads) and look.followed.seen is not None:
            self._metrics.delay.observe(self._age(look.followed))
        part.threads, part.found = enforced, True
        part.missing = tuple(task.name for task in tasks if task.name not in matched)

    def _stand_in(self, place: Place, look: _Look) -> Thread | None:
        """The main thread, once it may stand for a task whose name no thread bears."""
        main = self._kernel.main_thread(place.threads)
        if main is None or any(main.tid in tids for tids in look.members.values()):
            return main
        started = place.certain and self._age(look.followed) >= _STAND_IN_AFTER
        return main if started else None

    def _put_back(self, look: _Look) -> None:
        """Send home who is enforced without being a task: children, and former matches."""
        parts = look.followed.parts
        kept = {th.tid for part in parts.values() for th in part.threads.values()}
        for held in look.reserved:
            if parts[held.name].found:
                with self._noting(held, look):
                    back_end = self._kernel.of(held)
                    for tid in set(back_end.members(held)) - kept:
                        back_end.send_home(tid, held)

    def _age(self, followed: Followed) -> float:
        return 0.0 if followed.seen is None else self._clock() - followed.seen

    @contextmanager
    def _noting(self, held: Held, look: _Look) -> Iterator[None]:
        """What the kernel refuses is counted, and told once for each cause."""
        try:
            yield
        except KernelError as error:
            self._metrics.failures.inc()
            part, cause = look.followed.part(held.name), str(error)
            look.failures[held.name] = cause
            if cause != part.failure:
                part.failed = self._clock()
                log.warning(
                    "not enforced",
                    extra={
                        "pod": held.name.pod_uid,
                        "container": held.reservation.container,
                        "cause": cause,
                    },
                )


def _is_complete(followed: Followed, reserved: Sequence[Held]) -> bool:
    return all(len(followed.part(h.name).threads) == len(h.reservation.tasks) for h in reserved)


def _tell(held: Held, position: int, thread: Thread) -> None:
    reservation = held.reservation
    log.info(
        "thread enforced",
        extra={
            "pod": held.name.pod_uid,
            "container": reservation.container,
            "mechanism": reservation.mechanism.value,
            "tid": thread.tid,
            "core": reservation.core,
            "priority": reservation.priorities[position] if reservation.priorities else None,
        },
    )
