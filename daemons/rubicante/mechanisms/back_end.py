"""The port between enforcement and a mechanism of the kernel; each mechanism has one back end.

The enforcer knows pods, containers and which thread is which task. A back end knows how the
kernel holds a thread to a reservation, and nothing of pods but what it is passed here. All calls
are made under the book's lock, from one thread at a time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemons.rubicante.book.entry import Entry
from daemons.rubicante.kernel.threads import Thread
from k40s.cpu.model import Mechanism, Reservation, Server
from k40s.errors import KernelError

UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class MechanismRefusedError(KernelError):
    """The kernel does not enforce by this mechanism what was admitted, and trying again is vain."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class GroupName:
    """The ``index``-th reservation of a pod, and the budget group of its own if it has one."""

    pod_uid: str
    index: int

    def __post_init__(self) -> None:
        if UID.fullmatch(self.pod_uid) is None or self.index < 0:
            raise ValueError(f"not a pod UID and an index: {self.pod_uid!r}, {self.index}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A reservation of the book and its name, which it keeps for as long as it is held."""

    name: GroupName
    reservation: Reservation

    def is_like(self, other: "Held") -> bool:
        """Whether both reservations load their core identically (same core, server and deadlines).

        After a restart, the kernel's state does not distinguish threads of such SCHED_DEADLINE
        reservations.
        """
        return self.name == other.name or (
            self.reservation.mechanism is other.reservation.mechanism is Mechanism.DEADLINE
            and _figures(self.reservation) == _figures(other.reservation)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerCgroup:
    """A container whose threads are enforced: its cgroup in the pod tree, and its pod's.

    The tree is that of the cpu hierarchy (cgroup v1) or the only one (v2). A pod's cgroup exists
    before its containers' and lasts longer.
    """

    pod: Path
    cgroup: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A kernel object of k40s without a reservation.

    ``what`` names it (a group, a thread) for the log, and stays the same for as long as it is
    there. ``idle`` says that it holds no bandwidth any more, ``cause`` why it is still there.
    """

    what: str
    idle: bool
    cause: str = ""


class BackEnd(Protocol):
    """One mechanism, for as long as the process lives."""

    def view(self, book: Sequence[Held]) -> "BackEndView":
        """The mechanism at one snapshot of the book: for one look, claim, release or sweep.

        ``book`` are all reservations of this mechanism, of all pods, also those being released.
        Whatever is not in it is a stray.
        """
        ...


class BackEndView(Protocol):
    """One mechanism at one snapshot of the book; what it reads of the kernel, it reads once.

    Every method may raise ``KernelError`` when the kernel refuses. Calls may be repeated at any
    time, also after a restart: each reads what the kernel holds, and writes only what differs.
    """

    def claim(self, wanted: Sequence[Held]) -> None:
        """Reserve one pod's servers in the kernel, before the pod is bound.

        None of its threads exists yet. ``wanted`` is part of the snapshot. Bandwidth of groups or
        threads that have just gone counts for some 25 ms more: such a refusal is tried again for up
        to ``DEAD_GROUP_SECONDS``. After an error the caller calls ``release``;
        ``MechanismRefusedError`` means that the node has less than it offers. Where the kernel
        admits each thread (SCHED_DEADLINE), this only checks that the core's partition is there and
        that the kernel's sum has room.
        """
        ...

    def given(self, held: Held) -> Server | None:
        """The server that the kernel gives a reservation's threads; None while it gives none.

        Threads that are not yet members enter only where this is at least the book's server; and a
        live server that is given less is one that has to grow (docs/theory.md, "Changing a live
        core"). A mechanism whose parameters are the thread's own returns the reservation's server,
        and is never made to wait by a growth of its own.
        """
        ...

    def provide(self, held: Held, *, grow: bool) -> None:
        """Make ready what the threads enter: a group with its server, a partition.

        Without ``grow`` nothing changes under threads that run, except that what the kernel gives
        beyond the book is taken back: threads become ordinary, and are enforced in the same look.
        With ``grow`` the server may grow to the book's under running threads.
        """
        ...

    def members(self, held: Held) -> tuple[int, ...]:
        """TIDs that the kernel holds to this reservation at present, whether or not they should be.

        Those of its own pod only, each in one reservation at most; children and former matches
        are among them. The enforcer restores those that are no task's thread.
        """
        ...

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """Hold a thread to a reservation as its ``position``-th task; False when it died.

        Repeats are cheap: only differences are written. Notes where the thread came from, and its
        affinity (``Origins.note``), before the first change.
        """
        ...

    def restore(self, tid: int, held: Held) -> bool:
        """Make a member ordinary again, with its former affinity, where it came from.

        False when its origin is not known or gone: the thread then stays, as an ordinary one.
        True also when it died.
        """
        ...

    @property
    def may_evict(self) -> bool:
        """Whether ``evict`` may find threads, by the reservations of the snapshot."""
        ...

    def evict(self) -> Mapping[int, str]:
        """Restore ordinary threads that are outside their container's CPU limits.

        Called many times a second, also between looks. Returns the TIDs, with the pod's UID.
        """
        ...

    def release(self, pod_uid: str) -> bool:
        """Restore all of a pod's members, and return what the kernel holds for the pod.

        What reservations of other pods use stays. True when the kernel holds no bandwidth for
        the pod any more; False when threads keep it, and the next look tries again.
        """
        ...

    def sweep(self) -> tuple[Stray, ...]:
        """Find k40s's kernel objects without a reservation, and remove them.

        Never touches an object without the configured prefix. An error with one becomes its
        ``cause`` and does not stop the others.
        """
        ...


def _figures(reservation: Reservation) -> tuple[int, Server, list[int]]:
    return reservation.core, reservation.server, [task.deadline for task in reservation.tasks]


def held_by(*entries: Entry) -> tuple[Held, ...]:
    """The reservations of pods, in the order of the entries."""
    return tuple(
        Held(name=GroupName(pod_uid=entry.pod.uid, index=index), reservation=reservation)
        for entry in entries
        for index, reservation in enumerate(entry.reservations)
    )
