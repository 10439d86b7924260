"""Removes all of k40s's state in the kernel, whichever process left it."""

import threading
from collections.abc import Mapping, Sequence

from daemons.rubicante.give_back.interfaces import NodeInterfaces
from daemons.rubicante.give_back.inventory import Inventory
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import is_ordinary
from daemons.rubicante.mechanisms.back_end import Held
from daemons.rubicante.mechanisms.deadline.assembly import withdraw
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.deadline.pod_partitions import PodPartitions
from daemons.rubicante.settings import Settings
from k40s.errors import KernelError
from k40s.units import MonotonicClock


class Leftovers:
    """Finds and removes k40s's state in the kernel. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        settings: Settings,
        *,
        system: System,
        access: DeadlineAccess | None,
        stop: threading.Event,
        clock: MonotonicClock,
    ) -> None:
        """Find the kernel's interfaces. Raises ``KernelError`` and ``OSError``."""
        self._node = NodeInterfaces(settings, system=system, access=access, stop=stop, clock=clock)
        self._inventory = Inventory(self._node)

    def release(self, held: Mapping[str, Sequence[Held]]) -> tuple[set[str], dict[str, str]]:
        """Release pods (by UID): returns those that hold nothing any more, and why others do.

        Some must be called again: budgets above containers are released after a second.
        """
        kernel = self._node.back_ends.view([one for mine in held.values() for one in mine])
        done, causes = set(), {}
        for uid in held:
            try:
                if kernel.release(uid):
                    done.add(uid)
            except (KernelError, OSError) as error:
                causes[uid] = str(error)
        return done, causes

    def sweep(self, held: Mapping[str, Sequence[Held]]) -> tuple[str, ...]:
        """Remove what no pod of ``held`` accounts for; returns the kernel's refusals as texts."""
        causes = []
        kernel = self._node.back_ends.view([one for mine in held.values() for one in mine])
        for _, view in kernel.all():
            try:
                causes += [f"{s.what}: {s.cause}" for s in view.sweep() if s.cause]
            except (KernelError, OSError) as error:
                causes.append(str(error))
        causes += self._restore_affinities()
        try:
            self._remove_probe_cgroups()
        except (KernelError, OSError) as error:
            causes.append(str(error))
        if self._node.access is not None and not held:
            cause = withdraw(
                system=self._node.system,
                paths=self._node.paths,
                prefix=self._node.settings.group_prefix,
                start_probe=self._node.probe_starter(self._node.access),
            )
            causes += [cause] if cause else []
        if not held and (cause := self._node.hrtick().put_back()):
            causes.append(cause)
        return tuple(causes)

    def find(self, held: Mapping[str, Sequence[Held]]) -> tuple[str, ...]:
        """k40s's state in the kernel, one text each. ``held`` are pods with an allocation."""
        return self._inventory.find(held)

    def finish(self) -> None:
        """Remove the log of thread origins: nothing is left to restore."""
        self._node.origin_log.remove()

    def _restore_affinities(self) -> list[str]:
        """Restore the CPUs of threads that a killed process had only made ordinary; once each."""
        causes = []
        for tid, cpus in self._node.origins.moved().items():
            if not is_ordinary(self._node.threads.policy(tid)):
                continue
            try:
                self._node.threads.pin(tid, cpus)
            except KernelError as error:
                causes.append(str(error))
            self._node.origins.forget(tid)
        return causes

    def _remove_probe_cgroups(self) -> None:
        partitions = self._node.partitions()
        for path in self._node.probe_cgroups():
            if isinstance(partitions, PodPartitions) and path.parent == self._node.paths.pods:
                partitions.undo(path)
            self._node.system.remove_directory(path)
