"""The back ends of this node by mechanism, and a substitute for each that it does not have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.mechanisms.back_end import (
    BackEnd,
    BackEndView,
    ContainerCgroup,
    GroupName,
    Held,
    MechanismRefusedError,
    Stray,
)
from daemons.rubicante.mechanisms.origins import Origins
from k40s.cpu.model import Mechanism, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class BackEnds:
    """The back ends, and the kernel interfaces that all of them use."""

    by_mechanism: dict[Mechanism, BackEnd]
    threads: Threads
    tree: PodTree
    origins: Origins

    def view(self, book: Sequence[Held]) -> "KernelView":
        """Every mechanism at one snapshot of the book."""
        return KernelView(self.by_mechanism, book)


class KernelView:
    """Every mechanism at one snapshot of the book, with what enforces it here."""

    def __init__(self, back_ends: Mapping[Mechanism, BackEnd], book: Sequence[Held]) -> None:
        self._views: dict[Mechanism, BackEndView] = {}
        self._instead: dict[GroupName, BackEndView] = {}
        for mechanism in Mechanism:
            back_end = back_ends.get(mechanism) or Unavailable(mechanism)
            mine = tuple(held for held in book if held.reservation.mechanism is mechanism)
            self._views[mechanism] = back_end.view(mine)

    def all(self) -> Iterator[tuple[Mechanism, BackEndView]]:
        """Every mechanism with what enforces it here."""
        yield from self._views.items()

    def of(self, held: Held) -> BackEndView:
        """The view that enforces a reservation."""
        return self._instead.get(held.name) or self._views[held.reservation.mechanism]

    def plain(self, held: Held) -> BackEndView:
        """The mechanism's own view of a reservation."""
        return self._views[held.reservation.mechanism]

    def replace(self, name: GroupName, view: BackEndView) -> None:
        """Enforce one reservation by this view instead."""
        self._instead[name] = view

    def release(self, pod_uid: str) -> bool:
        """Whether no mechanism holds bandwidth for a pod any more; its threads are restored."""
        gone = [view.release(pod_uid) for view in self._views.values()]
        return all(gone)


class HoldsNothing:
    """The part of ``BackEndView`` that is the same for all that hold no thread."""

    def given(self, held: Held) -> Server | None:
        """Nothing."""
        del held
        return None

    def members(self, held: Held) -> tuple[int, ...]:
        """None."""
        del held
        return ()

    def restore(self, tid: int, held: Held) -> bool:
        """None is held."""
        del tid, held
        return True

    @property
    def may_evict(self) -> bool:
        """None is held."""
        return False

    def evict(self) -> Mapping[int, str]:
        """None is held."""
        return {}

    def release(self, pod_uid: str) -> bool:
        """Nothing is held."""
        del pod_uid
        return True

    def sweep(self) -> tuple[Stray, ...]:
        """Nothing is found."""
        return ()


class Unavailable(HoldsNothing):
    """Implements ``BackEnd`` and ``BackEndView``: holds nothing and refuses to.

    The book may have reservations of such a mechanism after the node's settings changed.
    """

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism

    def view(self, book: Sequence[Held]) -> "Unavailable":
        """The same for every book."""
        del book
        return self

    def claim(self, wanted: Sequence[Held]) -> None:
        """Refused, unless nothing is wanted."""
        if wanted:
            raise self._error()

    def provide(self, held: Held, *, grow: bool) -> None:
        """Refused."""
        del held, grow
        raise self._error()

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """Refused."""
        del thread, held, position, container
        raise self._error()

    def _error(self) -> MechanismRefusedError:
        return MechanismRefusedError(f"this node does not enforce by {self._mechanism.value}")
