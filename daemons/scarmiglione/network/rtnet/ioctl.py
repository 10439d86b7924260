"""RTnet by ioctl on /dev/rtnet, in a child with a time limit.

The structures are those of Xenomai 3.1 to 3.3 on 64-bit Linux (``tdma_chrdev.h``). What ``tdmacfg``
refuses the kernel takes, so it is checked here once more: a period of 0 freezes the machine.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

from daemons.scarmiglione.network.back_end import BackEndName
from daemons.scarmiglione.network.child import Run, python, run_child
from daemons.scarmiglione.network.rtnet.orders import SlotOrder
from k40s.errors import KernelError
from k40s.tdma.model import OFFSET_STEP, SMALLEST_PAYLOAD
from k40s.units import Nanoseconds

SET_SLOT = 0x40506E03
REMOVE_SLOT = 0x40506E04

_NAME = 16
_NOT_JOINED = -1

Ioctl = Callable[[int, bytes], int]
"""One call on the device; returns the errno, 0 where it succeeds. Raises ``KernelError``."""

_PROGRAM = """\
import fcntl, os, sys
try:
    device = os.open(sys.argv[1], os.O_RDWR)
    fcntl.ioctl(device, int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
except OSError as error:
    print(error.errno)
else:
    print(0)
"""


class _SetSlot(ctypes.Structure):
    _fields_ = (
        ("id", ctypes.c_int32),
        ("period", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("phasing", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("joint_slot", ctypes.c_int32),
        ("cal_timeout", ctypes.c_uint32),
        ("cal_results", ctypes.c_uint64),
    )


class _RemoveSlot(ctypes.Structure):
    _fields_ = (("id", ctypes.c_int32),)


class _Arguments(ctypes.Union):
    _fields_ = (
        ("set_slot", _SetSlot),
        ("remove_slot", _RemoveSlot),
        ("size", ctypes.c_uint8 * 64),
    )


class TdmaConfig(ctypes.Structure):
    """``struct tdma_config``: 80 bytes, the interface's name and what is asked of it."""

    _fields_ = (("if_name", ctypes.c_char * _NAME), ("arguments", _Arguments))


def linux_ioctl(device: Path, seconds: float, run: Run = run_child) -> Ioctl:
    """Calls on a device, each in a child that is ended after ``seconds``."""

    def call(request: int, argument: bytes) -> int:
        done = run(python(_PROGRAM, str(device), str(request), argument.hex()), seconds)
        if done.status != 0 or not done.output.strip().isdigit():
            raise KernelError(f"{device}: the call's process ended with {done.status}")
        return int(done.output)

    return call


class IoctlCommands:
    """Packs orders into the kernel's structures, and calls ``ioctl``.

    ``mtu`` bounds payloads; ``cycle`` bounds offsets: the kernel of a station knows no cycle.
    """

    name = BackEndName.IOCTL

    def __init__(self, *, ioctl: Ioctl, cycle: Nanoseconds, mtu: int, last: int) -> None:
        self._ioctl = ioctl
        self._cycle = cycle
        self._mtu = mtu
        self._last = last

    def add(self, interface: str, order: SlotOrder) -> None:
        """``TDMA_IOC_SET_SLOT``."""
        self._check(order)
        config = _config(interface)
        config.arguments.set_slot = _SetSlot(
            id=order.number,
            period=order.every,
            offset=order.offset,
            phasing=order.phase,
            size=order.payload,
            joint_slot=_NOT_JOINED if order.joins is None else order.joins,
        )
        self._call(SET_SLOT, config, f"SET_SLOT {order.number}")

    def remove(self, interface: str, number: int) -> None:
        """``TDMA_IOC_REMOVE_SLOT``; not slot 0, without which nothing else is sent."""
        if not 0 < number <= self._last:
            raise KernelError(f"ioctl REMOVE_SLOT {number}: not in 1..{self._last}")
        config = _config(interface)
        config.arguments.remove_slot = _RemoveSlot(id=number)
        self._call(REMOVE_SLOT, config, f"REMOVE_SLOT {number}")

    def _check(self, order: SlotOrder) -> None:
        joins = order.joins
        for holds, what in (
            (0 <= order.number <= self._last, "id"),
            (order.every >= 1, "period"),
            (0 <= order.phase < order.every, "phasing"),
            (0 <= order.offset < self._cycle and not order.offset % OFFSET_STEP, "offset"),
            (SMALLEST_PAYLOAD <= order.payload <= self._mtu, "size"),
            (joins is None or 0 <= joins < self._last, "joint slot"),
        ):
            if not holds:
                raise KernelError(
                    f"ioctl SET_SLOT: the kernel would not survive this {what}: {order}"
                )

    def _call(self, request: int, config: TdmaConfig, what: str) -> None:
        if number := self._ioctl(request, bytes(config)):
            name = errno.errorcode.get(number, str(number))
            raise KernelError(f"ioctl {what}: {name}: {os.strerror(number)}")


def _config(interface: str) -> TdmaConfig:
    name = interface.encode("ascii", errors="strict") if interface.isascii() else b""
    if not 0 < len(name) < _NAME:
        raise KernelError(f"no name of an interface: {interface!r}")
    return TdmaConfig(if_name=name)
