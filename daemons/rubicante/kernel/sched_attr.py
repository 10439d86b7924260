"""The scheduling attributes of a thread: ``sched_setattr(2)`` and ``sched_getattr(2)``.

Neither the C library nor Python has them before their newest versions, so they are called by
number. Only SCHED_DEADLINE needs them; everything else is in ``os``.
"""

import ctypes
import errno
import logging
import os
import platform
from dataclasses import dataclass, replace
from typing import Protocol

from k40s.cpu.model import ANY_CORE, Server
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)

SCHED_DEADLINE = 6
RESET_ON_FORK = 1
"""A child starts as an ordinary thread. Without it, a DEADLINE thread cannot fork (EAGAIN)."""
MIN_RUNTIME = Nanoseconds(1024)
"""The kernel refuses a smaller runtime (EINVAL)."""
MAX_PERIOD = Nanoseconds((1 << 22) * 1000)
"""The kernel's default limit of the period, 4.194304 s (``sched_deadline_period_max_us``)."""

_UNSHRINKABLE = (errno.EPERM, errno.EBUSY, errno.EINVAL)
_NUMBERS = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Machine → the numbers of ``sched_setattr`` and ``sched_getattr``."""


class RawAttr(ctypes.Structure):
    """``struct sched_attr`` as the kernel lays it out: 56 bytes."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
        ("util_min", ctypes.c_uint32),
        ("util_max", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedAttr:
    """``struct sched_attr`` without utilization clamps; times in ns, 0 where they do not apply."""

    policy: int
    flags: int = 0
    nice: int = 0
    priority: int = 0
    runtime: Nanoseconds = Nanoseconds(0)
    deadline: Nanoseconds = Nanoseconds(0)
    period: Nanoseconds = Nanoseconds(0)


LEAST = SchedAttr(
    policy=SCHED_DEADLINE,
    flags=RESET_ON_FORK,
    runtime=MIN_RUNTIME,
    deadline=MAX_PERIOD,
    period=MAX_PERIOD,
)
"""The smallest reservation there is: its bandwidth counts as 0 in the kernel's sum (2^-20)."""


def deadline_attr(server: Server, deadline: Nanoseconds) -> SchedAttr:
    """SCHED_DEADLINE with ``server``'s budget due ``deadline`` after each of its periods begins.

    DL_OVERRUN is never set: its signal would kill a program that does not expect it.
    """
    return SchedAttr(
        policy=SCHED_DEADLINE,
        flags=RESET_ON_FORK,
        runtime=server.budget,
        deadline=deadline,
        period=server.period,
    )


class Attributes(Protocol):
    """Reads and sets a thread's attributes; TID 0 is the caller. Raises ``OSError`` as Linux."""

    def get(self, tid: int) -> SchedAttr:
        """The thread's attributes."""
        ...

    def set(self, tid: int, attr: SchedAttr) -> None:
        """Set all of it."""
        ...

    def make_ordinary(self, tid: int) -> None:
        """SCHED_OTHER, with the nice value that the thread had before."""
        ...


class LinuxAttributes:
    """The running kernel. With ``dry_run`` nothing is set: each intention is logged instead."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        self._set, self._get = _NUMBERS.get(platform.machine(), (-1, -1))

    def get(self, tid: int) -> SchedAttr:
        """``sched_getattr``. On a machine whose call number is not known, ENOSYS."""
        raw = RawAttr()
        self._call(self._get, tid, raw, ctypes.c_uint(ctypes.sizeof(RawAttr)))
        return SchedAttr(
            policy=raw.policy,
            flags=raw.flags,
            nice=raw.nice,
            priority=raw.priority,
            runtime=Nanoseconds(raw.runtime),
            deadline=Nanoseconds(raw.deadline),
            period=Nanoseconds(raw.period),
        )

    def set(self, tid: int, attr: SchedAttr) -> None:
        """``sched_setattr``."""
        if self.dry_run:
            log.info("dry run", extra={"call": "sched_setattr", "tid": tid, "attr": str(attr)})
            return
        raw = RawAttr(
            size=ctypes.sizeof(RawAttr),
            policy=attr.policy,
            flags=attr.flags,
            nice=attr.nice,
            priority=attr.priority,
            runtime=attr.runtime,
            deadline=attr.deadline,
            period=attr.period,
        )
        self._call(self._set, tid, raw)

    def make_ordinary(self, tid: int) -> None:
        """``sched_setscheduler``, which keeps the nice value; ``sched_setattr`` would set it."""
        if self.dry_run:
            log.info("dry run", extra={"call": "sched_setscheduler", "tid": tid, "policy": 0})
            return
        os.sched_setscheduler(tid, os.SCHED_OTHER, os.sched_param(0))

    def _call(self, number: int, tid: int, raw: RawAttr, *more: ctypes.c_uint) -> None:
        arguments = (ctypes.c_int(tid), ctypes.byref(raw), *more, ctypes.c_uint(0))
        if self._syscall(ctypes.c_long(number), *arguments) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))


def drop(attributes: Attributes, tid: int, *, asleep: bool) -> bool:
    """Make a thread ordinary so that the kernel gets its bandwidth back; False when it died.

    Linux (6.12 to 6.18 at least) forgets the bandwidth of a *sleeping* thread that another takes
    out of SCHED_DEADLINE: it stays charged until the domain is rebuilt. So if it is ``asleep`` the
    reservation is first shrunk to nothing. One that could run is not shrunk: its budget may be
    used up, and the kernel would then reckon for hours until so small a one is paid back, in which
    the thread does not run when it is DEADLINE again, and cannot even be killed.

    Where shrinking is refused (EPERM in a domain that has grown, EBUSY in one that has lost CPUs,
    EINVAL where the operator has lowered the longest period), it shrinks as far as its own period
    lets it, or not at all. Raises ``OSError`` for any other refusal.
    """
    try:
        present = attributes.get(tid)
        if asleep and present.policy == SCHED_DEADLINE:
            _shrink(attributes, tid, present)
        attributes.make_ordinary(tid)
    except ProcessLookupError:
        return False
    return True


def _shrink(attributes: Attributes, tid: int, present: SchedAttr) -> None:
    for least in (LEAST, replace(present, flags=RESET_ON_FORK, runtime=MIN_RUNTIME)):
        try:
            attributes.set(tid, least)
        except OSError as error:
            if error.errno not in _UNSHRINKABLE:
                raise
        else:
            return


_MEANINGS = {
    errno.EBUSY: "the root domain has no room for it (EBUSY)",
    errno.EPERM: "the thread may not run on the whole root domain, or CAP_SYS_NICE lacks (EPERM)",
    errno.EINVAL: "the kernel's limits of budget or period forbid it (EINVAL)",
}


def explain(error: OSError) -> str:
    """Explains an errno of ``sched_setattr``."""
    return _MEANINGS.get(error.errno or 0, str(error))


def on_core(core: int) -> str:
    """Where it was tried."""
    return " in the shared domain" if core == ANY_CORE else f" on CPU {core}"
