"""What stands in for a mechanism that this node does not have."""

from collections.abc import Sequence

from daemons.rubicante.kernel.mechanism import Held, Home, MechanismRefusedError, Stray
from daemons.rubicante.kernel.threads import Thread
from k40s.cpu.model import Mechanism, Server


class Unavailable:
    """Implements ``BackEnd``: holds nothing and refuses to.

    The book may have reservations of such a mechanism after the node's settings changed.
    """

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism

    def know(self, book: Sequence[Held]) -> None:
        """Nothing comes of it."""

    def claim(self, wanted: Sequence[Held]) -> None:
        """Refused, unless nothing is wanted."""
        if wanted:
            raise self._error()

    def given(self, held: Held) -> Server | None:
        """Nothing."""
        del held
        return None

    def provide(self, held: Held, *, grow: bool) -> None:
        """Refused."""
        del held, grow
        raise self._error()

    def members(self, held: Held) -> tuple[int, ...]:
        """Nobody."""
        del held
        return ()

    def enforce(self, thread: Thread, held: Held, *, position: int, home: Home) -> bool:
        """Refused."""
        del thread, held, position, home
        raise self._error()

    def send_home(self, tid: int, held: Held) -> bool:
        """Nobody is away."""
        del tid, held
        return True

    def release(self, pod_uid: str) -> bool:
        """Nothing is held."""
        del pod_uid
        return True

    def sweep(self) -> tuple[Stray, ...]:
        """Nothing is found."""
        return ()

    def _error(self) -> MechanismRefusedError:
        return MechanismRefusedError(f"this node does not enforce by {self._mechanism.value}")
