"""A device of stock Linux: queues and counters in /sys, its queueing discipline by rtnetlink."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemons.scarmiglione.network.child import Run, python, run_child
from daemons.scarmiglione.network.clocks import LINUX
from daemons.scarmiglione.network.taprio.changeover import Changeover, Timetable
from daemons.scarmiglione.network.taprio.messages import (
    Mapping,
    Qdisc,
    check_answer,
    delete_request,
    dump_request,
    hold_request,
    noop_request,
    parse_root,
    release_request,
    replace_request,
)
from k40s.errors import KernelError
from k40s.units import NS_PER_S

_SECONDS = 5.0
_MEGABIT = 1_000_000
_UNKNOWN = 10 * _MEGABIT
"""The rate that the kernel assumes for a device that does not tell its own."""

_LINK = """\
import socket, struct, sys, time
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
link.setsockopt(270, 11, 1)  # SOL_NETLINK, NETLINK_EXT_ACK
link.settimeout(float(sys.argv[1]))
link.bind((0, 0))

def exchange(request):
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
_EXCHANGE = """\

for request in sys.argv[2:]:
    exchange(request)
"""

_CHANGE = """\

def sleep_until(when):
    while (left := when - time.clock_gettime_ns(time.CLOCK_TAI)) > 0:
        time.sleep(left / 1e9)

hold_at, begin, release_at, period = map(int, sys.argv[2:6])
holds, (change,), releases = (words.split() for words in sys.argv[6:9])
try:
    sleep_until(hold_at)
    for request in (*holds, change):
        exchange(request)
    late = time.clock_gettime_ns(time.CLOCK_TAI) - begin
    if late >= 0:  # then it begins that many periods later
        release_at += (late // period + 1) * period
    sleep_until(release_at)
finally:
    for request in releases:
        exchange(request)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a device is: queues for sending, bit/s, MTU, packets received.

    ``carrier_changes`` counts how often its link went up or down.
    """

    queues: int
    bit_rate: int
    mtu: int
    received: int
    carrier_changes: int = 0


class GateDevice(Protocol):
    """One network device. Every method raises ``KernelError``."""

    def facts(self) -> Facts | None:
        """What it is; None where there is no such device, or it is down."""
        ...

    def root(self) -> Qdisc | None:
        """Its root queueing discipline; None where there is no such device."""
        ...

    def install(self, *, handle: int, mapping: Mapping, table: Timetable) -> None:
        """Make ``taprio`` the root. Whatever waits on the device is dropped."""
        ...

    def change(
        self, *, handle: int, mapping: Mapping, table: Timetable, changeover: Changeover
    ) -> None:
        """Give the installed ``taprio`` its next schedule, and return when that has begun.

        Classes but 0 are held meanwhile, and go on also where the kernel refuses.
        """
        ...

    def uninstall(self, *, handle: int) -> None:
        """Remove it again; whatever waits on the device is dropped."""
        ...

    def release(self, *, handle: int, mapping: Mapping) -> None:
        """Let all classes send, which a process that was killed may have left held."""
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
        tai: Callable[[], int] = LINUX.tai,
    ) -> None:
        self._tai = tai
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
                carrier_changes=int(self._text("carrier_changes")),
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

    def install(self, *, handle: int, mapping: Mapping, table: Timetable) -> None:
        """Set by rtnetlink, with a ``plug`` for each class.

        To make one restarts the device, which stops the schedule: so that is set once more.
        """
        index = self._existing()
        request = replace_request(index, handle=handle, mapping=mapping, timetable=table)
        self._exchange(
            request,
            *_holds(index, handle, mapping),
            request,
            *_releases(index, handle, mapping),
        )

    def change(
        self, *, handle: int, mapping: Mapping, table: Timetable, changeover: Changeover
    ) -> None:
        """Held, set and released by one child, which waits for each time itself."""
        index = self._existing()
        request = replace_request(index, handle=handle, mapping=mapping, timetable=table)
        times = (changeover.hold_at, changeover.begin, changeover.release_at, table.schedule.period)
        words = (
            " ".join(one.hex() for one in requests)
            for requests in (
                _holds(index, handle, mapping),
                (request,),
                _releases(index, handle, mapping),
            )
        )
        command = python(_LINK + _CHANGE, str(self._seconds), *map(str, times), *words)
        ahead = 2 * table.schedule.period + changeover.release_at - self._tai()
        self._answers(command, 2 * self._seconds + max(0, ahead) / NS_PER_S)

    def uninstall(self, *, handle: int) -> None:
        """Deleted by rtnetlink."""
        self._exchange(delete_request(self._existing(), handle=handle))

    def release(self, *, handle: int, mapping: Mapping) -> None:
        """Asked of each class's ``plug``; one that is not there holds nothing."""
        index = self._index()
        if index is None:
            return
        for request in _releases(index, handle, mapping):
            with suppress(KernelError):
                self._exchange(request)

    def _index(self) -> int | None:
        try:
            return socket.if_nametoindex(self._interface)
        except OSError:
            return None

    def _existing(self) -> int:
        index = self._index()
        if index is None:
            raise KernelError(f"{self._interface}: there is no such device")
        return index

    def _exchange(self, *requests: bytes) -> bytes:
        command = python(_LINK + _EXCHANGE, str(self._seconds), *(one.hex() for one in requests))
        return self._answers(command, 2 * self._seconds)

    def _answers(self, command: Sequence[str], seconds: float) -> bytes:
        done = self._run(command, seconds)
        if done.status != 0:
            raise KernelError(f"rtnetlink: {done.errors.splitlines()[-1:]}")
        answers = [bytes.fromhex(line) for line in done.output.split()]
        try:
            for answer in answers:
                check_answer(answer)
        except KernelError as error:
            raise KernelError(f"{self._interface}: {error}") from error
        return b"".join(answers)

    def _bit_rate(self) -> int:
        try:
            speed = int(self._text("speed"))
        except OSError:
            speed = -1
        return speed * _MEGABIT if speed > 0 else _UNKNOWN

    def _text(self, name: str) -> str:
        return (self._net / name).read_text(encoding="ascii").strip()


def _holds(index: int, handle: int, mapping: Mapping) -> list[bytes]:
    return [hold_request(index, handle=handle, queue=queue) for _count, queue in mapping.queues[1:]]


def _releases(index: int, handle: int, mapping: Mapping) -> list[bytes]:
    return [
        release_request(index, handle=handle, queue=queue) for _count, queue in mapping.queues[1:]
    ]
