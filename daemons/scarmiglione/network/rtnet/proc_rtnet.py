"""Reads a station of RTnet: /proc/rtnet, in a child with a time limit.

A slot that waits for its calibration holds a lock that every read of /proc/rtnet needs.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

from daemons.scarmiglione.network.back_end import AppliedSlot, StationState
from daemons.scarmiglione.network.child import Run, python, run_child
from daemons.scarmiglione.network.clocks import Clocks
from daemons.scarmiglione.network.rtnet.proc_text import (
    parse_devices,
    parse_received,
    parse_slots,
    parse_tdma,
    parse_vnics,
)
from k40s.errors import KernelError
from k40s.units import Nanoseconds

READ_SECONDS = 5.0
VNIC_HEADER = 4
"""Bytes of RTmac's header in an ordinary packet."""

_FILES = ("devices", "stats", "rtmac/tdma", "rtmac/tdma_slots", "rtmac/vnics")

_PROGRAM = """\
import json, sys
found = {}
for path in sys.argv[1:]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found[path] = file.read()
    except (FileNotFoundError, NotADirectoryError):
        found[path] = ""
print(json.dumps(found))
"""


def read_files(paths: list[Path], *, seconds: float, run: Run = run_child) -> list[str]:
    """Texts of small files, in order, "" for those that do not exist. Raises ``KernelError``."""
    done = run(python(_PROGRAM, *map(str, paths)), seconds)
    if done.status != 0:
        raise KernelError(f"{paths[0].parent} cannot be read: {done.errors.splitlines()[-1:]}")
    found = cast("dict[str, str]", json.loads(done.output))
    return [found[str(path)] for path in paths]


class RtnetFiles:
    """The state of a host's stations. ``proc`` and ``sys`` are the host's: RTnet is global."""

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
        clocks: Clocks,
        seconds: float = READ_SECONDS,
        run: Run = run_child,
    ) -> None:
        self._root = proc / "rtnet"
        self._net = sys / "class/net"
        self._clocks = clocks
        self._seconds = seconds
        self._run = run

    def read(self, interface: str) -> StationState:
        """One look at an interface; raises ``KernelError`` for what it cannot read."""
        paths = [self._root / name for name in _FILES]
        devices, stats, tdma, slots, vnics = read_files(paths, seconds=self._seconds, run=self._run)
        state = StationState(
            attached=False,
            read_at=Nanoseconds(self._clocks.monotonic()),
            wall_at=Nanoseconds(self._clocks.wall()),
            received=parse_received(stats).get(interface),
        )
        device, discipline = parse_devices(devices).get(interface), parse_tdma(tdma).get(interface)
        if device is None or not device.up or device.loopback or discipline is None:
            return replace(state, problems=(_absence(interface, exists=device is not None),))
        held = parse_slots(slots).get(interface)
        applied = () if held is None else held.slots
        vnic = parse_vnics(vnics).get(interface)
        mtu = None if vnic is None else self._mtu(vnic)
        return replace(
            state,
            attached=True,
            role=discipline.role,
            cycle=discipline.cycle,
            state=discipline.state,
            slots=applied,
            vnic=vnic,
            vnic_mtu=mtu,
            problems=_shrunk(vnic, mtu, applied),
        )

    def _mtu(self, vnic: str) -> int | None:
        try:
            return int((self._net / vnic / "mtu").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def ordinary_slot(slots: tuple[AppliedSlot, ...]) -> AppliedSlot | None:
    """The slot that ordinary traffic is sent in: 1, or 0 where there is no 1."""
    found = {slot.number: slot for slot in slots}
    return found.get(1) or found.get(0)


def _shrunk(vnic: str | None, mtu: int | None, slots: tuple[AppliedSlot, ...]) -> tuple[str, ...]:
    slot = ordinary_slot(slots)
    if vnic is None or mtu is None or slot is None or slot.payload is None:
        return ()
    if mtu >= slot.payload - VNIC_HEADER:
        return ()
    return (f"the MTU of {vnic} is {mtu}, and slot {slot.number} takes {slot.payload}",)


def _absence(interface: str, *, exists: bool) -> str:
    if exists:
        return f"{interface} is down, or not attached to a TDMA network"
    return f"RTnet has no interface {interface}"
