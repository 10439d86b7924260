"""Enforces one pod's reservations: matches threads to tasks, and sets them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemons.rubicante.book.entry import Entry
from daemons.rubicante.enforcement.locator import (
    SLOW_RESCAN,
    LocatedContainer,
    Locator,
    find_stand_in,
    match,
)
from daemons.rubicante.enforcement.mode_change import Permits
from daemons.rubicante.enforcement.tracked_pods import TrackedPod, state_of
from daemons.rubicante.kernel.sandboxes import Sandbox, find_sandbox
from daemons.rubicante.kernel.threads import NAME_BYTES, Processes, Thread, Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held
from daemons.rubicante.mechanisms.back_ends import KernelView
from daemons.rubicante.metrics import EnforcementMetrics
from k40s.errors import KernelError
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)

_AT_ONCE = 256
"""Threads that a look makes ordinary; the next one goes on."""
_STAND_IN_AFTER = 1.0
"""Seconds in which a program may name a thread; in a budget, its start would take long."""
SETTLED_AFTER = 10.0
"""Seconds in which a main thread may still turn out not to be the task's thread. For as long it
stays enforced although its program has started another, which may be short-lived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at one pod; ``failures`` are what the kernel refused in it."""

    entry: Entry
    reserved: Sequence[Held]
    pod: TrackedPod
    permits: Permits
    kernel: KernelView
    members: dict[GroupName, tuple[int, ...]] = field(default_factory=dict)
    failures: dict[GroupName, str] = field(default_factory=dict)

    @property
    def ids(self) -> Mapping[str, str]:
        """Container name -> id, as far as the pod's status has it."""
        record = self.pod.status.record
        return {} if record is None else record.container_ids

    @property
    def sole(self) -> bool:
        """Whether the pod never has another container than the one."""
        record = self.pod.status.record
        known = len(self.entry.containers) if record is None else len(record.all_containers)
        return max(known, len(self.entry.containers)) == 1

    def inside(self, held: Held) -> set[int]:
        """TIDs that run by this reservation, or by an identical one of another container."""
        alike = (h.name for h in self.reserved if h.is_like(held))
        return {tid for name in alike for tid in self.members.get(name, ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Task -> thread of one container; ``missing`` and ``unclear`` tasks, and why."""

    threads: Mapping[str, Thread]
    stand_ins: frozenset[str] = frozenset()
    missing: Mapping[str, str] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)


class PodEnforcer:
    """Acts on the kernel only; ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        locator: Locator,
        threads: Threads,
        metrics: EnforcementMetrics,
        clock: MonotonicClock,
    ) -> None:
        self._locator = locator
        self._threads = threads
        self._metrics = metrics
        self._clock = clock
        self._unlogged: list[tuple[Held, int, Thread]] = []

    def enforce(
        self,
        entry: Entry,
        pod: TrackedPod,
        kernel: KernelView,
        *,
        reserved: Sequence[Held],
        containers: Mapping[str, Path],
        permits: Permits,
    ) -> None:
        """One pod, with all its reservations; stable when no change is expected soon.

        ``containers`` are the cgroups of the pod's containers, by id. What the kernel refuses
        concerns one reservation; it is logged once and noted in its state.
        """
        look = _Look(entry=entry, reserved=reserved, pod=pod, permits=permits, kernel=kernel)
        enforcement = pod.enforcement
        enforcement.reserved = reserved
        pod.cgroups.update(containers, self._clock())
        for held in reserved:
            with self._counting_refusals(held, look):
                kernel.of(held).provide(held, grow=held.name in permits.grow)
            look.members[held.name] = kernel.of(held).members(held)
        stable = True
        for container in dict.fromkeys(h.reservation.container for h in reserved):
            located = self._locator.find(
                [held for held in reserved if held.reservation.container == container],
                look.members,
                cgroups=containers,
                ids=look.ids,
                sole=look.sole,
            )
            stable &= self._enforce(container, located, look)
            self._note_sandbox(container, located, look)
        stable &= self._restore_others(look)
        for held in reserved:
            enforcement.of(held).failure.cause = look.failures.get(held.name, "")
        enforcement.stable = stable and not look.failures
        if all(len(enforcement.of(h).threads) == len(h.reservation.tasks) for h in reserved):
            created = pod.cgroups.take_creation()
            if created is not None:
                self._metrics.lag.observe(self._clock() - created)

    def log(self) -> None:
        """Log what was enforced, after all writes, because logging takes time."""
        unlogged, self._unlogged = self._unlogged, []
        for held, position, thread in unlogged:
            _log_enforced(held, position, thread)

    def _enforce(self, container: str, located: LocatedContainer | None, look: _Look) -> bool:
        """One container: match its threads to tasks, and enforce them."""
        mine = [h for h in look.reserved if h.reservation.container == container]
        states = [look.pod.enforcement.of(held) for held in mine]
        if located is None:
            for state in states:
                state.threads, state.stand_ins, state.found = {}, frozenset(), False
            return False
        tasks = [task.name for held in mine for task in held.reservation.tasks]
        found = self._match(container, tasks, located, look, mine)
        for held in mine:
            if held.name not in look.failures:
                with self._counting_refusals(held, look):
                    self._enforce_reservation(held, found, located, look)
        enforced = {task: thread for state in states for task, thread in state.threads.items()}
        if len(enforced) < len(tasks):
            return False
        by_name = all(enforced[task].name == task[:NAME_BYTES] for task in tasks)
        return by_name or look.pod.cgroups.age(self._clock()) >= SETTLED_AFTER

    def _note_sandbox(self, container: str, located: LocatedContainer | None, look: _Look) -> None:
        """Notes the virtual machine or the like that hides the tasks that have no thread."""
        now = self._clock()
        for held in look.reserved:
            if held.reservation.container != container:
                continue
            state, found = look.pod.enforcement.of(held), None
            if len(state.threads) < len(held.reservation.tasks):
                found = self._find_sandbox(located, look, now)
            if found is None or state.sandbox is None:
                state.sandboxed = now
            state.sandbox = found

    def _find_sandbox(
        self, located: LocatedContainer | None, look: _Look, now: float
    ) -> Sandbox | None:
        """Among a container's own threads; where it has none, among all of the pod, each second."""
        if located is not None and located.threads:
            return find_sandbox(self._threads, located.threads)
        known, pod = look.pod.enforcement, look.pod.cgroups.pod
        if pod is not None and (known.searched is None or now - known.searched >= SLOW_RESCAN):
            known.searched, known.sandbox = now, self._locator.find_sandbox(pod)
        return known.sandbox

    def _match(
        self,
        container: str,
        tasks: Sequence[str],
        located: LocatedContainer,
        look: _Look,
        mine: Sequence[Held],
    ) -> _Found:
        """Match threads to tasks: by name, else the main thread for the only task."""
        states = [look.pod.enforcement.of(held) for held in mine]
        processes = Processes(threads=self._threads, members=located.threads)
        found = match(
            tasks,
            located.threads,
            processes=processes,
            held={t: th for s in states for t, th in s.threads.items() if t not in s.stand_ins},
            inside=set().union(*(look.inside(held) for held in mine)),
        )
        lacking = {task: "" for task in tasks if task not in found.threads}
        if len(tasks) > 1 or not lacking or found.unclear or not located.threads:
            look.pod.enforcement.crowded.pop(container, None)
            return _Found(threads=found.threads, missing=lacking, unclear=found.unclear)
        stood = any(state.stand_ins for state in states)
        main = self._stand_in(container, located, look, processes, stood=stood)
        if isinstance(main, str):
            return _Found(threads={}, missing={tasks[0]: main})
        return _Found(threads={tasks[0]: main}, stand_ins=frozenset(tasks))

    def _enforce_reservation(
        self, held: Held, found: _Found, located: LocatedContainer, look: _Look
    ) -> None:
        state, view = look.pod.enforcement.of(held), look.kernel.of(held)
        inside = look.inside(held)
        container = ContainerCgroup(pod=located.cgroup.parent, cgroup=located.cgroup)
        given, tasks = view.given(held), held.reservation.tasks
        enough = given is not None and given.budget >= held.reservation.server.budget
        ready = enough and look.permits.may_enter(held.reservation)
        enforced: dict[str, Thread] = {}
        for position, task in enumerate(tasks):
            thread = found.threads.get(task.name)
            if (
                thread is not None
                and (ready or thread.tid in inside)
                and view.enforce(thread, held, position=position, container=container)
            ):
                enforced[task.name] = thread
                if thread not in state.threads.values():
                    self._unlogged.append((held, position, thread))
        cgroups = look.pod.cgroups
        if len(enforced) > len(state.threads) and cgroups.changed is not None:
            self._metrics.delay.observe(cgroups.age(self._clock()))
        state.threads, state.found, state.count = enforced, True, len(located.threads)
        state.appeared = cgroups.appeared_at(located.cgroup, self._clock())
        state.stand_ins = found.stand_ins & enforced.keys()
        names = [task.name for task in tasks]
        state.unclear = {name: found.unclear[name] for name in names if name in found.unclear}
        state.missing = {
            name: found.missing[name]
            for name in names
            if name in found.missing and name not in state.unclear
        }

    def _stand_in(
        self,
        container: str,
        located: LocatedContainer,
        look: _Look,
        processes: Processes,
        *,
        stood: bool,
    ) -> Thread | str:
        """The main thread, once it may stand for a task whose name no thread bears, or why not.

        One that ``stood`` for it stays for a while although other processes have come up beside.
        """
        crowded, now = look.pod.enforcement.crowded, self._clock()
        age = now - look.pod.cgroups.appeared_at(located.cgroup, now)
        if age < _STAND_IN_AFTER and not stood and not any(look.members.values()):
            return "it has just started"
        main = find_stand_in(processes)
        if isinstance(main, Thread):
            crowded.pop(container, None)
        elif stood and now - crowded.setdefault(container, now) < SETTLED_AFTER:
            main = find_stand_in(processes, alone=False)
        if isinstance(main, str) or any(main.tid in tids for tids in look.members.values()):
            return main
        state = state_of(look.pod.status.record, container)
        if not located.certain or (state is not None and not state.running):
            return "the pod's status does not say yet which container this is"
        return main if age >= _STAND_IN_AFTER else "it has just started"

    def _restore_others(self, look: _Look) -> bool:
        """Restore enforced threads that are no task's: children, and former matches.

        False if some are left for the next look.
        """
        kept = look.pod.enforcement.tids()
        is_all = True
        for held in look.reserved:
            if look.pod.enforcement.of(held).found:
                with self._counting_refusals(held, look):
                    view = look.kernel.of(held)
                    others = sorted(set(view.members(held)) - kept)
                    is_all &= len(others) <= _AT_ONCE
                    for tid in others[:_AT_ONCE]:
                        view.restore(tid, held)
        return is_all

    @contextmanager
    def _counting_refusals(self, held: Held, look: _Look) -> Iterator[None]:
        """Counts kernel refusals; logs each distinct cause once."""
        try:
            yield
        except KernelError as error:
            self._metrics.failures.inc()
            failure, cause = look.pod.enforcement.of(held).failure, str(error)
            look.failures[held.name] = cause
            if cause != failure.cause:
                failure.since = self._clock()
                log.warning(
                    "thread not enforced",
                    extra={
                        "pod": held.name.pod_uid,
                        "container": held.reservation.container,
                        "cause": cause,
                    },
                )


def _log_enforced(held: Held, position: int, thread: Thread) -> None:
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
