"""A device of stock Linux: queues and counters in /sys, its queueing discipline by rtnetlink."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemons.scarmiglione.network.child import Run, python, run_child
from daemons.scarmiglione.network.taprio.messages import (
    Mapping,
    Qdisc,
    Timetable,
    check_answer,
    dump_request,
    noop_request,
    parse_root,
    replace_request,
)
from k40s.errors import KernelError

_SECONDS = 5.0
_MEGABIT = 1_000_000
_UNKNOWN = 10 * _MEGABIT
"""The rate that the kernel assumes for a device that does not tell its own."""

_PROGRAM = """\
import socket, struct, sys
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
link.setsockopt(270, 11, 1)  # SOL_NETLINK, NETLINK_EXT_ACK
link.settimeout(float(sys.argv[1]))
link.bind((0, 0))
for request in sys.argv[2:]:
    link.send(bytes.fromhex(request))
    ended = False
    while not ended:
        data = link.recv(1 << 18)
        print(data.hex())
        while len(data) >= 16:
            length, kind = struct.unpack_from("=IH", data)
            ended = ended or kind in (2, 3)  # NLMSG_ERROR, NLMSG_DONE
            data = data[max(16, (length + 3) & ~3):]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a device is: queues for sending, bit/s, MTU, packets received."""

    queues: int
    bit_rate: int
    mtu: int
    received: int


class GateDevice(Protocol):
    """One network device. Every method raises ``KernelError``."""

    def facts(self) -> Facts | None:
        """What it is; None where there is no such device, or it is down."""
        ...

    def root(self) -> Qdisc | None:
        """Its root queueing discipline; None where there is no such device."""
        ...

    def replace(self, *, handle: int, mapping: Mapping, timetable: Timetable) -> None:
        """Make ``taprio`` the root, or give it a schedule that replaces its own at ``base``."""
        ...


class LinuxGateDevice:
    """A device of this host's network namespace; ``sys`` is where sysfs is mounted."""

    def __init__(
        self,
        interface: str,
        *,
        sys: Path = Path("/sys"),
        seconds: float = _SECONDS,
        run: Run = run_child,
    ) -> None:
        self._interface = interface
        self._net = sys / "class/net" / interface
        self._seconds = seconds
        self._run = run

    def facts(self) -> Facts | None:
        """Read from sysfs."""
        try:
            if not int(self._text("flags"), 16) & 1:
                return None
            return Facts(
                queues=sum(1 for _ in (self._net / "queues").glob("tx-*")),
                bit_rate=self._bit_rate(),
                mtu=int(self._text("mtu")),
                received=int(self._text("statistics/rx_packets")),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise KernelError(f"{self._net} cannot be read: {error}") from error

    def root(self) -> Qdisc | None:
        """Dumped by rtnetlink."""
        index = self._index()
        if index is None:
            return None
        return parse_root(self._exchange(noop_request(), dump_request()), index)

    def replace(self, *, handle: int, mapping: Mapping, timetable: Timetable) -> None:
        """Set by rtnetlink."""
        index = self._index()
        if index is None:
            raise KernelError(f"{self._interface}: there is no such device")
        request = replace_request(index, handle=handle, mapping=mapping, timetable=timetable)
        try:
            self._exchange(request)
        except KernelError as error:
            raise KernelError(f"taprio on {self._interface}: {error}") from error

    def _index(self) -> int | None:
        try:
            return socket.if_nametoindex(self._interface)
        except OSError:
            return None

    def _exchange(self, *requests: bytes) -> bytes:
        command = python(_PROGRAM, str(self._seconds), *(one.hex() for one in requests))
        done = self._run(command, 2 * self._seconds)
        if done.status != 0:
            raise KernelError(f"rtnetlink: {done.errors.splitlines()[-1:]}")
        answers = [bytes.fromhex(line) for line in done.output.split()]
        for answer in answers:
            check_answer(answer)
        return b"".join(answers)

    def _bit_rate(self) -> int:
        try:
            speed = int(self._text("speed"))
        except OSError:
            speed = -1
        return speed * _MEGABIT if speed > 0 else _UNKNOWN

    def _text(self, name: str) -> str:
        return (self._net / name).read_text(encoding="ascii").strip()
