"""A back end for SCHED_DEADLINE that remembers whom it was told to hold."""

from collections.abc import Sequence

from daemons.rubicante.kernel.mechanism import GroupName, Held, Home, Stray
from daemons.rubicante.kernel.threads import Thread
from k40s.cpu.model import Server


class FakeDeadline:
    """Implements ``BackEnd``; ``inside`` are the TIDs by reservation."""

    def __init__(self) -> None:
        self.inside: dict[GroupName, list[int]] = {}
        self.claimed: list[GroupName] = []
        self.homes: list[Home] = []

    def know(self, book: Sequence[Held]) -> None:
        """Nothing comes of it."""

    def claim(self, wanted: Sequence[Held]) -> None:
        self.claimed += [held.name for held in wanted]

    def given(self, held: Held) -> Server:
        return held.reservation.server

    def provide(self, held: Held, *, grow: bool) -> None:
        """Nothing is needed."""

    def members(self, held: Held) -> tuple[int, ...]:
        return tuple(self.inside.get(held.name, ()))

    def enforce(self, thread: Thread, held: Held, *, position: int, home: Home) -> bool:
        assert position == 0
        inside = self.inside.setdefault(held.name, [])
        if thread.tid not in inside:
            inside.append(thread.tid)
            self.homes.append(home)
        return True

    def send_home(self, tid: int, held: Held) -> bool:
        self.inside[held.name].remove(tid)
        return True

    def release(self, pod_uid: str) -> bool:
        self.inside = {n: tids for n, tids in self.inside.items() if n.pod_uid != pod_uid}
        return True

    def sweep(self) -> tuple[Stray, ...]:
        return ()
