"""Finds a container's cgroup and threads, and which thread is which task."""

import re
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.sandboxes import Sandbox, find_sandbox, is_monitor
from daemons.rubicante.kernel.threads import (
    NAME_BYTES,
    Process,
    Processes,
    Thread,
    Threads,
    is_runtime,
)
from daemons.rubicante.mechanisms.back_end import GroupName, Held
from daemons.rubicante.mechanisms.origins import Origins

_SANDBOX = "pause"
_LAUNCHERS = re.compile(
    r"(?:ba|da|a|z|k|mk|lk|c|tc|rba|fi)?sh|busybox|"
    r"tini.*|dumb-init|catatonit|docker-init|podman-init|s6-.*|runit.*|runsv.*|runsvdir|"
    r"supervisord|pause|init|systemd|my_init|circusd|honcho|foreman|pid1|"
    r"npm.*|npx.*|yarn.*|pnpm.*|uv|uvx|poetry|pipenv|conda|mamba|make|java|"
    r"time|timeout|watch|xargs|strace|ltrace|gdb|gdbserver|valgrind|sudo|su|setsid|script|unshare",
)
"""Programs whose first thread starts others and waits for them: shells, init programs, launchers;
and java, whose first thread only starts the one that runs ``main``."""
_SHOWN = 4
_SEARCHED = 2048
"""Threads of a pod among which its sandbox is looked for: the monitor's are few, and old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedContainer:
    """A container's cgroup, and its threads there and where they are enforced.

    ``certain`` says that the pod's status names it; else it might be an init container's.
    """

    cgroup: Path
    certain: bool
    threads: tuple[Thread, ...]


class Locator:
    """Finds containers by the pod's status, by enforced threads, or because there is only one."""

    def __init__(self, *, threads: Threads, tree: PodTree, origins: Origins) -> None:
        self._threads = threads
        self._tree = tree
        self._origins = origins

    def find(
        self,
        held: Sequence[Held],
        members: Mapping[GroupName, Sequence[int]],
        *,
        cgroups: Mapping[str, Path],
        ids: Mapping[str, str],
        sole: bool,
    ) -> LocatedContainer | None:
        """A container's cgroup and threads; None while it is not certain.

        ``held`` are its reservations, ``members`` the TIDs that the kernel holds to each of the
        pod's. ``cgroups`` are those of the pod (by container id), ``ids`` (name → container id)
        those in its status so far. A pod that never has another container, ``sole``, need not wait
        for its status.
        """
        container = held[0].reservation.container
        mine = {tid for one in held for tid in members.get(one.name, ())}
        origins = {tid: self._origins.path(tid) for tids in members.values() for tid in tids}
        named = cgroups.get(ids.get(container, ""))
        others = {id_ for name, id_ in ids.items() if name != container}
        possible = {id_: path for id_, path in cgroups.items() if id_ not in others}
        cgroup = named or self._container_of({origins[tid] for tid in mine}, possible)
        present: tuple[Thread, ...] | None = None
        if cgroup is None and sole:
            cgroup, present = self._only_program(possible, set(ids.values()))
        if cgroup is None:
            return None
        if present is None:
            present = self._living(self._tree.tids(cgroup))
        away = [
            tid
            for tid, origin in origins.items()
            if (tid in mine if origin is None else origin.is_relative_to(cgroup))
        ]
        known = {thread.tid for thread in present}
        if any(origins[tid] is None and tid not in known for tid in away):
            beside = (path for path in cgroups.values() if path != cgroup)
            known |= {tid for path in beside for tid in self._tree.tids(path)}
        moved = self._living([tid for tid in away if tid not in known])
        return LocatedContainer(cgroup=cgroup, certain=named is not None, threads=moved + present)

    def find_sandbox(self, pod: Path) -> Sandbox | None:
        """What a pod's programs run in beside this kernel, by the threads in its cgroup."""
        return find_sandbox(self._threads, self._living(self._tree.tids(pod)[:_SEARCHED]))

    def _living(self, tids: Sequence[int]) -> tuple[Thread, ...]:
        return tuple(t for t in map(self._threads.find, tids) if t is not None)

    def _container_of(
        self, origins: AbstractSet[Path | None], cgroups: Mapping[str, Path]
    ) -> Path | None:
        """The container that enforced threads came from."""
        known = [origin for origin in origins if origin is not None]
        return next((p for p in cgroups.values() if any(o.is_relative_to(p) for o in known)), None)

    def _only_program(
        self, cgroups: Mapping[str, Path], gone: AbstractSet[str]
    ) -> tuple[Path | None, tuple[Thread, ...]]:
        """The one cgroup that runs something else than the sandbox or the runtime, and its threads.

        Ids in ``gone`` belong to former containers.
        """
        running = []
        for id_, cgroup in cgroups.items():
            threads = () if id_ in gone else self._living(self._tree.tids(cgroup))
            if any(t.name != _SANDBOX and not is_runtime(t.name) for t in threads):
                running.append((cgroup, threads))
        return running[0] if len(running) == 1 else (None, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Task -> thread, and for tasks that have none although threads bear their name, why."""

    threads: Mapping[str, Thread]
    unclear: Mapping[str, str] = field(default_factory=dict)


def match(
    tasks: Sequence[str],
    threads: Sequence[Thread],
    *,
    processes: Processes,
    held: Mapping[str, Thread],
    inside: Collection[int] = (),
) -> Match:
    """Find threads by the tasks' names.

    ``threads`` live in the container or its budget group, ``held`` is the match before, ``inside``
    are TIDs that the kernel holds to the tasks already. The thread held before is preferred, by
    its name and else whatever its name has become. Threads inherit the name of their creator, so
    of several in one process the oldest is the task, and a child's is not where its parent's is.
    Of several processes that did not start one another none is.
    """
    matched: dict[str, Thread] = {}
    unclear: dict[str, str] = {}
    for task in tasks:
        named = [t for t in threads if t.name == task[:NAME_BYTES]]
        if named:
            found = _choose(named, processes, held.get(task), inside)
            if isinstance(found, Thread):
                matched[task] = found
            else:
                unclear[task] = found
    for task in tasks:
        if task not in matched:
            taken = {thread.tid for thread in matched.values()}
            known = [t for t in threads if _is(t, held.get(task)) and t.tid not in taken]
            if known:
                matched[task] = known[0]
                unclear.pop(task, None)
    return Match(threads=matched, unclear=unclear)


def find_stand_in(processes: Processes, *, alone: bool = True) -> Thread | str:
    """The main thread, where it can be the only task of a container, or why it cannot.

    It can where it runs the container's only process (``alone`` False: or did so shortly before)
    and is not known to do nothing but start others.
    """
    main = processes.main()
    if main is None:
        return "the container's program does not run yet"
    leader = processes.leader(main)
    if leader is None:
        return f"the main thread of its program (PID {main.pid}) has ended"
    others = processes.others(main)
    beside = f", beside {_names(processes, others)}" if others else ""
    shown = f"its main thread, {leader.name!a} (PID {main.pid})"
    if is_monitor(leader.name):
        return f"{shown}{beside}, runs a virtual machine"
    if _LAUNCHERS.fullmatch(leader.name):
        return f"{shown}{beside}, is known to start others and wait, and is not held instead"
    if others and alone:
        return f"{shown}, runs{beside}: which of them does the work cannot be told"
    return leader


def rescan_delay(age: float) -> float:
    """Seconds until a container is looked at again for a task that it does not show yet.

    ``age`` is the time in seconds since its cgroup was first seen: a program starts within
    tens of milliseconds, names its threads within seconds, and may do so at any later time.
    """
    for limit, delay in ((0.3, 0.002), (1.0, 0.01), (10.0, 0.05)):
        if age < limit:
            return delay
    return SLOW_RESCAN


SLOW_RESCAN = 1.0
"""Seconds between looks at a pod that is enforced completely."""


def _choose(
    named: Sequence[Thread], processes: Processes, held: Thread | None, inside: Collection[int]
) -> Thread | str:
    """The one of these threads that is the task's, or why none is."""
    for thread in named:
        if _is(thread, held):
            return thread
    own = [thread for thread in named if not processes.is_visitor(thread)]
    if not own:
        return "only what was started from outside (kubectl exec, a probe) bears the name"
    first: dict[int, tuple[Process, Thread]] = {}
    for thread in sorted(own, key=lambda t: (t.tid not in inside, t.started, t.tid)):
        process = processes.of(thread)
        if process is not None:
            first.setdefault(process.pid, (process, thread))
    heads = [first[p.pid] for p in processes.heads([process for process, _ in first.values()])]
    known = [(process, thread) for process, thread in heads if thread.tid in inside]
    for certain in (heads, known):
        if len(certain) == 1:
            return certain[0][1]
    if not heads:  # their processes cannot be read: they have just ended
        return own[0]
    names = _names(processes, [process for process, _ in heads])
    return f"threads of several processes bear the name: {names}"


def _names(processes: Processes, found: Sequence[Process]) -> str:
    names = [f"{processes.name(p)!a} (PID {p.pid})" for p in found[:_SHOWN]]
    return ", ".join(names) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _is(thread: Thread, other: Thread | None) -> bool:
    return other is not None and (thread.tid, thread.started) == (other.tid, other.started)
