"""A back end for SCHED_DEADLINE that records the threads that it holds."""

from collections.abc import Sequence

from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held, Stray
from k40s.cpu.model import Server


class FakeDeadline:
    """Implements ``BackEnd`` and ``BackEndView``; ``inside`` are the TIDs by reservation."""

    def __init__(self) -> None:
        self.inside: dict[GroupName, list[int]] = {}
        self.claimed: list[GroupName] = []
        self.origins: list[ContainerCgroup] = []

    def view(self, book: Sequence[Held]) -> "FakeDeadline":
        del book
        return self

    def claim(self, wanted: Sequence[Held]) -> None:
        self.claimed += [held.name for held in wanted]

    def given(self, held: Held) -> Server:
        return held.reservation.server

    def provide(self, held: Held, *, grow: bool) -> None:
        """Nothing is needed."""

    def members(self, held: Held) -> tuple[int, ...]:
        return tuple(self.inside.get(held.name, ()))

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        assert position == 0
        inside = self.inside.setdefault(held.name, [])
        if thread.tid not in inside:
            inside.append(thread.tid)
            self.origins.append(container)
        return True

    def restore(self, tid: int, held: Held) -> bool:
        self.inside[held.name].remove(tid)
        return True

    def release(self, pod_uid: str) -> bool:
        self.inside = {n: tids for n, tids in self.inside.items() if n.pod_uid != pod_uid}
        return True

    @property
    def may_evict(self) -> bool:
        return False

    def evict(self) -> dict[int, str]:
        return {}

    def sweep(self) -> tuple[Stray, ...]:
        return ()
