"""SCHED_DEADLINE as a mechanism: one reservation (Q, D, P) for each task's thread.

The kernel keeps nothing for us but the threads' own attributes, so they are what a new process
finds again: threads in the pod's containers whose policy is DEADLINE. Rules of this module:

- RESET_ON_FORK always, or the thread could not fork; never DL_OVERRUN, whose signal would kill a
  program that does not expect it;
- a thread is shrunk before it is made ordinary (``sched_attr.drop``), or its bandwidth may stay
  charged for good;
- a thread whose last CPU is not yet one that it was moved to is refused (EPERM), and one that is
  in a job is not set (``alignment``): no failure, the next look tries again;
- the book's test decides what is admitted; the kernel is only asked whether it has the room.
"""

import errno
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

from daemons.rubicante.kernel.alignment import Alignment
from daemons.rubicante.kernel.bandwidth_watch import BandwidthWatch
from daemons.rubicante.kernel.confinement import Confinement
from daemons.rubicante.kernel.deadline_members import DeadlineMembers
from daemons.rubicante.kernel.deadline_room import DeadlineRoom
from daemons.rubicante.kernel.deadline_words import on_core, say
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.mechanism import Held, Home, Stray
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.sched_attr import Attributes, SchedAttr, deadline_attr, drop
from daemons.rubicante.kernel.threads import Thread, Threads
from k40s.cpu.model import Server, total_bandwidth
from k40s.errors import KernelError


class DeadlineThreads:
    """The back end. ``wait`` sleeps for some seconds or until the process stops.

    ``rebuild`` makes the kernel count its bandwidth afresh (``cpuset_v1.rebuild_domains``); None
    where nothing can. ``watch`` looks whether that is needed. ``doubt`` is called when the kernel
    refuses what it had seemed to offer. ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        attributes: Attributes,
        threads: Threads,
        homes: Homes,
        tree: PodTree,
        confinement: Confinement,
        watch: BandwidthWatch | None = None,
        rebuild: Callable[[], None] | None = None,
        doubt: Callable[[], None] = lambda: None,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attributes = attributes
        self._threads = threads
        self._homes = homes
        self._confinement = confinement
        self._watch = watch
        self._room = DeadlineRoom(
            confinement=confinement, rebuild=rebuild, doubt=doubt, wait=wait, clock=clock
        )
        self._alignment = Alignment(threads=threads, clock=clock)
        self._pods: frozenset[str] = frozenset()
        self._members = DeadlineMembers(
            attributes=attributes,
            threads=threads,
            homes=homes,
            tree=tree,
            confinement=confinement,
        )

    def know(self, book: Sequence[Held]) -> None:
        """All DEADLINE reservations; who is whose is found anew."""
        self._pods = frozenset(held.name.pod_uid for held in book)
        self._members.know(book)

    def claim(self, wanted: Sequence[Held]) -> None:
        """Ask for the room of what has no thread yet, core by core."""
        for core in sorted({held.reservation.core for held in wanted}):
            here = [held for held in wanted if held.reservation.core == core]
            missing = [held for held in here if not self.members(held)]
            if missing:
                wanted_here = total_bandwidth(held.reservation for held in missing)
                self._room.claim(core, missing[0].name.pod_uid, min(wanted_here, Fraction(1)))

    def given(self, held: Held) -> Server:
        """The reservation's server: the thread's own."""
        return held.reservation.server

    def provide(self, held: Held, *, grow: bool) -> None:  # noqa: ARG002  # nobody grows here
        """Make the pod's partition, where there is such a thing."""
        self._confinement.prepare(held.reservation.core, held.name.pod_uid)

    def members(self, held: Held) -> tuple[int, ...]:
        """DEADLINE threads of the pod's containers, and what is with them in a place of ours."""
        owners = self._members.of_pod(held.name.pod_uid)
        return tuple(tid for tid, name in owners.items() if name == held.name)

    def enforce(self, thread: Thread, held: Held, *, position: int, home: Home) -> bool:  # noqa: ARG002  # one task each
        """Bring the thread to its CPUs and set its attributes; False when it died, or not yet."""
        reservation = held.reservation
        wanted = deadline_attr(reservation.server, reservation.tasks[0].deadline)
        if thread.tid not in self._members.of_pod(held.name.pod_uid):
            self._homes.note(thread, pod_uid=held.name.pod_uid, cgroup=home.cgroup)
        if not self._confinement.confine(thread, reservation.core, home.pod):
            return False
        if not self._set(thread, wanted, reservation.core):
            return False
        self._members.note(thread, held.name)
        return True

    def send_home(self, tid: int, held: Held) -> bool:
        """Shrink, make ordinary, and bring back; True also when it died."""
        return self._send_home(tid, held.name.pod_uid)

    def release(self, pod_uid: str) -> bool:
        """Send all home. An ordinary thread whose home is not known holds no bandwidth."""
        for tid in tuple(self._members.of_pod(pod_uid)):
            self._send_home(tid, pod_uid)
        self._confinement.release(pod_uid)
        return not self._members.hold_bandwidth(pod_uid)

    def sweep(self) -> tuple[Stray, ...]:
        """Threads in places of ours, or that this process made DEADLINE, of pods without any."""
        self._confinement.repair()
        self._alignment.forget_dead()
        strays = [self._expel(tid, pod) for tid, pod in self._members.lost().items()]
        for pod, what in self._confinement.owners().items():
            if pod not in self._pods:
                strays.append(self._close(pod, what))
        if self._watch is not None:
            self._watch.look()
        return tuple(strays)

    def grants(self, core: int, wanted: Fraction) -> Fraction:
        """How much of ``wanted`` (CPUs) the kernel has left on a core; all of it where unknown."""
        try:
            return self._room.grants(core, wanted)
        except (OSError, KernelError):
            return wanted

    def close(self) -> None:
        """End what this process keeps; threads stay enforced."""
        self._confinement.close()

    def _set(self, thread: Thread, wanted: SchedAttr, core: int) -> bool:
        """Set and read back what differs; False when the thread died, or is not ready for it."""
        tid = thread.tid
        try:
            present = self._attributes.get(tid)
            if present == wanted:
                if not self._alignment.is_due(thread):
                    return True
                drop(self._attributes, tid)
            elif not self._alignment.may_set(thread, wanted.period):
                return False
            if not self._set_or_repair(tid, wanted, core):
                return False
            self._alignment.note_set(thread)
            kept = self._attributes.get(tid)
        except ProcessLookupError:
            return False
        except OSError as error:
            self._room.note(error)
            raise KernelError(f"sched_setattr({tid}){on_core(core)}: {say(error)}") from error
        if kept != wanted:
            raise KernelError(f"thread {tid}: set {wanted}, the kernel kept {kept}")
        return True

    def _set_or_repair(self, tid: int, wanted: SchedAttr, core: int) -> bool:
        try:
            self._attributes.set(tid, wanted)
        except PermissionError:
            self._confinement.repair()
            if self._threads.last_cpu(tid) not in self._confinement.cpus(core):
                return False
            self._attributes.set(tid, wanted)
        except OSError as error:
            if error.errno != errno.EBUSY or not self._room.count_afresh():
                raise
            self._attributes.set(tid, wanted)
        return True

    def _send_home(self, tid: int, pod_uid: str) -> bool:
        affinity = self._homes.affinity(tid, pod_uid=pod_uid)
        try:
            lives = drop(self._attributes, tid)
        except OSError as error:
            raise KernelError(f"sched_setattr({tid}): {error}") from error
        self._members.forget(tid, pod_uid)
        return not lives or self._confinement.let_go(tid, affinity)

    def _expel(self, tid: int, pod_uid: str) -> Stray:
        try:
            cause = "" if self._send_home(tid, pod_uid) else "its home is gone"
        except KernelError as error:
            return Stray(what=f"thread {tid}", idle=False, cause=str(error))
        return Stray(what=f"thread {tid}", idle=True, cause=cause)

    def _close(self, pod_uid: str, what: str) -> Stray:
        try:
            self._confinement.release(pod_uid)
        except KernelError as error:
            return Stray(what=what, idle=False, cause=str(error))
        return Stray(what=what, idle=True)
