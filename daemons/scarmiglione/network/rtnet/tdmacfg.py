"""RTnet by its own command. Times are whole microseconds there."""

from daemons.scarmiglione.network.back_end import BackEndName
from daemons.scarmiglione.network.child import Run, run_child
from daemons.scarmiglione.network.rtnet.orders import SlotOrder
from k40s.errors import KernelError
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds

_SECONDS = 5.0
_CALIBRATION = 400
"""Cycles: twice what the 100 rounds of a first slot take. RTnet's own time limit is ignored."""


def time_limit(cycle: Nanoseconds) -> float:
    """Seconds that setting a slot may take on a network with this cycle."""
    return _SECONDS + _CALIBRATION * cycle / NS_PER_S


class Tdmacfg:
    """Drives ``tdmacfg``; ``command`` is its path."""

    name = BackEndName.TDMACFG

    def __init__(self, *, command: str, seconds: float, run: Run = run_child) -> None:
        self._command = command
        self._seconds = seconds
        self._run = run

    def add(self, interface: str, order: SlotOrder) -> None:
        """``slot ID OFFSET -p PHASING/PERIOD -s SIZE [-j PRIMARY]``."""
        joined = () if order.joins is None else ("-j", str(order.joins))
        self._call(
            *(interface, "slot", str(order.number), _microseconds(order.offset)),
            *("-p", f"{order.phase + 1}/{order.every}", "-s", str(order.payload), *joined),
        )

    def remove(self, interface: str, number: int) -> None:
        """``slot ID``: without an offset it is removed."""
        self._call(interface, "slot", str(number))

    def _call(self, *words: str) -> None:
        done = self._run((self._command, *words), self._seconds)
        if done.status != 0:
            said = done.errors or f"status {done.status}"
            raise KernelError(f"tdmacfg {' '.join(words)}: {said}")


def _microseconds(time: Nanoseconds) -> str:
    whole, rest = divmod(time, NS_PER_US)
    if rest:
        raise KernelError(f"tdmacfg knows whole microseconds only: {time} ns")
    return str(whole)
