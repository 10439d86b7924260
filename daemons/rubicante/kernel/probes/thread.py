"""Probe threads: they wait on a CPU, and show what the kernel would let others do there.

The thread sleeps while its attributes are tried: it never runs as a DEADLINE thread, so it can
neither be throttled (holding the interpreter's lock) nor take time from anybody.
"""

import errno
import os
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Protocol

from daemons.rubicante.kernel.sched_attr import Attributes, SchedAttr, drop
from k40s.errors import KernelError

Enter = Callable[[int], object]
"""Moves a thread (TID) to where it is to run."""

_PATIENCE = 5.0
"""Seconds in which a new thread surely has run, even beside real-time threads."""


class Probe(Protocol):
    """A thread of this process that waits on certain CPUs."""

    @property
    def tid(self) -> int:
        """Its TID."""
        ...

    def attempt(self, attr: SchedAttr) -> OSError | None:
        """The kernel's error for these attributes; None where it would grant them."""
        ...

    def close(self) -> None:
        """End the thread."""
        ...


class StartProbe(Protocol):
    """Starts such threads."""

    def __call__(self, cores: AbstractSet[int], *, enter: Enter | None = None) -> Probe:
        """A thread that may run on exactly ``cores``; ``enter`` moves its TID to where they are.

        Raises ``OSError``, also where the process's own cpuset keeps it from one of the CPUs, and
        what ``enter`` raises (``OSError`` or ``KernelError``).
        """
        ...


class LinuxProbes:
    """Real threads. Without writing (``dry_run`` of ``attributes``) all is granted."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes

    def __call__(self, cores: AbstractSet[int], *, enter: Enter | None = None) -> "LinuxProbe":
        """Start a thread, and wait until it waits."""
        return LinuxProbe(attributes=self._attributes, cores=frozenset(cores), enter=enter)


class LinuxProbe:
    """One thread, which has run on its CPUs before it waits.

    That matters: the kernel admits a sleeping thread by the CPU on which it ran last.
    """

    def __init__(
        self,
        *,
        attributes: Attributes,
        cores: frozenset[int],
        enter: Enter | None,
    ) -> None:
        self._attributes = attributes
        self._cores = cores
        self._enter = enter
        self._waiting = threading.Event()
        self._stop = threading.Event()
        self._failures: list[OSError | KernelError] = []
        self._tid = 0
        thread = threading.Thread(target=self._wait, name="deadline-probe", daemon=True)
        thread.start()
        self._thread = thread
        if not self._waiting.wait(_PATIENCE):
            self._stop.set()
            raise TimeoutError(errno.ETIMEDOUT, f"no probe thread ran on CPUs {sorted(cores)}")
        if self._failures:
            thread.join(_PATIENCE)
            raise self._failures[0]

    @property
    def tid(self) -> int:
        """Its TID."""
        return self._tid

    def attempt(self, attr: SchedAttr) -> OSError | None:
        """Set the attributes, and take them back at once."""
        try:
            self._attributes.set(self._tid, attr)
        except OSError as error:
            return error
        drop(self._attributes, self._tid, asleep=True)
        return None

    def close(self) -> None:
        """Wake the thread, which ends."""
        self._stop.set()
        self._thread.join(_PATIENCE)

    def _wait(self) -> None:
        self._tid = threading.get_native_id()
        try:
            if self._enter is not None:
                self._enter(self._tid)
            os.sched_setaffinity(0, self._cores)
            if (kept := os.sched_getaffinity(0)) != self._cores:
                raise PermissionError(errno.EPERM, f"the cpuset leaves only CPUs {sorted(kept)}")
        except (OSError, KernelError) as error:
            self._failures.append(error)
        self._waiting.set()
        if not self._failures:
            self._stop.wait()
