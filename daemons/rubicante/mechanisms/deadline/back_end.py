"""SCHED_DEADLINE as a mechanism: one reservation (Q, D, P) for each task's thread.

The kernel keeps only the threads' attributes, by which a new process finds them again: threads in
the pod's containers whose policy is DEADLINE. Rules of this module:

- RESET_ON_FORK always, or the thread could not fork; never DL_OVERRUN, whose signal would kill a
  program that does not expect it;
- a thread that sleeps is shrunk before it is made ordinary (``sched_attr.drop``), or its bandwidth
  may stay charged for good;
- a thread whose last CPU is not yet one that it was moved to is refused (EPERM), and one that is in
  a job is not set (``alignment``): no failure, the next look tries again;
- the book's test decides what is admitted; the kernel is only probed for room.
"""

import errno
import logging
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.sched_attr import (
    Attributes,
    SchedAttr,
    deadline_attr,
    drop,
    explain,
    on_core,
)
from daemons.rubicante.kernel.system import Wait
from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held, Stray
from daemons.rubicante.mechanisms.deadline.affinity import Affinity
from daemons.rubicante.mechanisms.deadline.alignment import Alignment
from daemons.rubicante.mechanisms.deadline.bandwidth import DeadlineBandwidth, Invalidate
from daemons.rubicante.mechanisms.deadline.bandwidth_leaks import BandwidthLeaks
from daemons.rubicante.mechanisms.deadline.members import DeadlineMembers
from daemons.rubicante.mechanisms.deadline.recount import Rebuild
from daemons.rubicante.mechanisms.deadline.starvation import Starvation
from daemons.rubicante.mechanisms.origins import Origins
from k40s.cpu.model import Server, total_bandwidth
from k40s.errors import KernelError
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)


class DeadlineBackEnd:
    """The back end. ``wait`` sleeps for some seconds or until the process stops.

    ``rebuild`` (``recount.rebuild_domains``) has the kernel count its bandwidth again; None
    where nothing can. ``leaks`` finds out whether that is needed. ``invalidate`` is called when
    the kernel refuses what it had seemed to offer. ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        attributes: Attributes,
        threads: Threads,
        origins: Origins,
        tree: PodTree,
        affinity: Affinity,
        leaks: BandwidthLeaks | None = None,
        rebuild: Rebuild | None = None,
        invalidate: Invalidate = lambda: None,
        wait: Wait = time.sleep,
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        self._attributes = attributes
        self._threads = threads
        self._origins = origins
        self._tree = tree
        self._affinity = affinity
        self._leaks = leaks
        self._bandwidth = DeadlineBandwidth(
            affinity=affinity, rebuild=rebuild, invalidate=invalidate, wait=wait, clock=clock
        )
        self._alignment = Alignment(threads=threads, clock=clock)
        self._starvation = Starvation(threads=threads, clock=clock)
        self._known: dict[int, tuple[int, GroupName]] = {}

    def view(self, book: Sequence[Held]) -> "DeadlineView":
        """All DEADLINE reservations; threads are matched to them again."""
        return DeadlineView(
            attributes=self._attributes,
            threads=self._threads,
            origins=self._origins,
            affinity=self._affinity,
            leaks=self._leaks,
            bandwidth=self._bandwidth,
            alignment=self._alignment,
            starvation=self._starvation,
            members=DeadlineMembers(
                book,
                attributes=self._attributes,
                threads=self._threads,
                origins=self._origins,
                tree=self._tree,
                affinity=self._affinity,
                known=self._known,
            ),
        )

    def grants(self, core: int, wanted: Fraction) -> Fraction:
        """The part of ``wanted`` (CPUs) that a core has left; all of it where unknown."""
        try:
            return self._bandwidth.grants(core, wanted)
        except (OSError, KernelError):
            return wanted

    def close(self) -> None:
        """End the probe threads; threads stay enforced."""
        self._affinity.close()


class DeadlineView:
    """Implements ``BackEndView``; all but ``members`` outlives it."""

    def __init__(
        self,
        *,
        attributes: Attributes,
        threads: Threads,
        origins: Origins,
        affinity: Affinity,
        leaks: BandwidthLeaks | None,
        bandwidth: DeadlineBandwidth,
        alignment: Alignment,
        starvation: Starvation,
        members: DeadlineMembers,
    ) -> None:
        self._attributes = attributes
        self._threads = threads
        self._origins = origins
        self._affinity = affinity
        self._leaks = leaks
        self._bandwidth = bandwidth
        self._alignment = alignment
        self._starvation = starvation
        self._members = members

    def claim(self, wanted: Sequence[Held]) -> None:
        """Probe the bandwidth of reservations without a thread, core by core."""
        for core in sorted({held.reservation.core for held in wanted}):
            here = [held for held in wanted if held.reservation.core == core]
            missing = [held for held in here if not self.members(held)]
            if missing:
                wanted_here = total_bandwidth(held.reservation for held in missing)
                self._bandwidth.claim(core, missing[0].name.pod_uid, min(wanted_here, Fraction(1)))

    def given(self, held: Held) -> Server:
        """The reservation's server: the thread's own."""
        return held.reservation.server

    def provide(self, held: Held, *, grow: bool) -> None:  # noqa: ARG002  # nobody grows here
        """Make the pod's partition, where each pod has one."""
        self._affinity.prepare(held.reservation.core, held.name.pod_uid)

    def members(self, held: Held) -> tuple[int, ...]:
        """DEADLINE threads of the pod's containers, and threads beside them in a k40s cpuset."""
        owners = self._members.of_pod(held.name.pod_uid)
        return tuple(tid for tid, name in owners.items() if name == held.name)

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """Bring the thread to its CPUs and set its attributes; False when it died, or not yet."""
        del position  # a reservation has one task
        reservation = held.reservation
        wanted = deadline_attr(reservation.server, reservation.tasks[0].deadline)
        if thread.tid not in self._members.of_pod(held.name.pod_uid):
            self._origins.note(thread, pod_uid=held.name.pod_uid, cgroup=container.cgroup)
        if not self._affinity.confine(thread, reservation.core, container.pod):
            return False
        if not self._set(thread, wanted, reservation.core):
            return False
        self._members.note(thread, held.name)
        return True

    def restore(self, tid: int, held: Held) -> bool:
        """Shrink, make ordinary, and bring back; True also when it died."""
        return self._restore(tid, held.name.pod_uid)

    @property
    def may_evict(self) -> bool:
        """Children are in their container's cpu cgroup."""
        return False

    def evict(self) -> Mapping[int, str]:
        """None: children are in their container's cpu cgroup, with its shares and quota."""
        return {}

    def release(self, pod_uid: str) -> bool:
        """Restore all. An ordinary thread whose origin is not known holds no bandwidth."""
        for tid in tuple(self._members.of_pod(pod_uid)):
            self._restore(tid, pod_uid)
        self._affinity.release(pod_uid)
        return not self._members.hold_bandwidth(pod_uid)

    def sweep(self) -> tuple[Stray, ...]:
        """Threads in k40s cpusets, or made DEADLINE by this process, whose pods hold nothing."""
        self._affinity.repair()
        self._alignment.forget_dead()
        self._starvation.forget_dead()
        strays = [self._remove_stray(tid, pod) for tid, pod in self._members.lost().items()]
        for pod, what in self._affinity.owners().items():
            if pod not in self._members.pods:
                strays.append(self._close(pod, what))
        if self._leaks is not None:
            self._leaks.look()
        return tuple(strays)

    def _set(self, thread: Thread, wanted: SchedAttr, core: int) -> bool:
        """Set and read back what differs; False when the thread died, or is not ready for it."""
        tid = thread.tid
        try:
            present = self._attributes.get(tid)
            if present == wanted:
                if self._starvation.is_starved(thread, wanted.period):
                    log.warning("thread kept from its CPU: set again", extra={"tid": tid})
                    self._attributes.make_ordinary(tid)
                elif self._alignment.is_due(thread):
                    drop(self._attributes, tid, asleep=True)
                else:
                    return True
            elif not self._alignment.may_set(thread, wanted.period):
                return False
            if not self._set_or_repair(tid, wanted, core):
                return False
            self._alignment.note_set(thread)
            kept = self._attributes.get(tid)
        except ProcessLookupError:
            return False
        except OSError as error:
            self._bandwidth.note(error)
            raise KernelError(f"sched_setattr({tid}){on_core(core)}: {explain(error)}") from error
        if kept != wanted:
            raise KernelError(f"thread {tid}: set {wanted}, the kernel kept {kept}")
        return True

    def _set_or_repair(self, tid: int, wanted: SchedAttr, core: int) -> bool:
        try:
            self._attributes.set(tid, wanted)
        except PermissionError:
            self._affinity.repair()
            if self._threads.last_cpu(tid) not in self._affinity.cpus(core):
                return False
            self._attributes.set(tid, wanted)
        except OSError as error:
            if error.errno != errno.EBUSY or not self._bandwidth.recount():
                raise
            self._attributes.set(tid, wanted)
        return True

    def _restore(self, tid: int, pod_uid: str) -> bool:
        affinity = self._origins.affinity(tid, pod_uid=pod_uid)
        try:
            lives = drop(self._attributes, tid, asleep=self._threads.sleeps(tid))
        except OSError as error:
            raise KernelError(f"sched_setattr({tid}): {error}") from error
        self._members.forget(tid, pod_uid)
        return not lives or self._affinity.bring_back(tid, affinity)

    def _remove_stray(self, tid: int, pod_uid: str) -> Stray:
        try:
            cause = "" if self._restore(tid, pod_uid) else "its origin is gone"
        except KernelError as error:
            return Stray(what=f"thread {tid}", idle=False, cause=str(error))
        return Stray(what=f"thread {tid}", idle=True, cause=cause)

    def _close(self, pod_uid: str, what: str) -> Stray:
        try:
            self._affinity.release(pod_uid)
        except KernelError as error:
            return Stray(what=what, idle=False, cause=str(error))
        return Stray(what=what, idle=True)
