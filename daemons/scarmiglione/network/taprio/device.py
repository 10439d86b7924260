"""A device of stock Linux: queues and counters in /sys, its queueing discipline by rtnetlink."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemons.scarmiglione.network.child import Run, python_file, run_child
from daemons.scarmiglione.network.clocks import LINUX
from daemons.scarmiglione.network.taprio import rtnetlink_child
from daemons.scarmiglione.network.taprio.changeover import Changeover, Timetable
from daemons.scarmiglione.network.taprio.messages import (
    Mapping,
    Qdisc,
    band_request,
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
from k40s.units import NS_PER_S, Nanoseconds

_SECONDS = 5.0
_MEGABIT = 1_000_000
_UNKNOWN = 10 * _MEGABIT
"""The rate that the kernel assumes for a device that does not tell its own."""

_PATIENCE = Nanoseconds(2 * NS_PER_S)
"""For how long after its time a schedule that is pending keeps classes held."""


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

        Classes but 0 are held until the kernel no longer shows it as pending, 2 s past its time at
        most. They go on also where the kernel refuses.
        """
        ...

    def uninstall(self, *, handle: int) -> None:
        """Remove it again; whatever waits on the device is dropped."""
        ...

    def release(self, *, handle: int, mapping: Mapping) -> bool:
        """Let all classes send, which a process that was killed may have left held.

        False where a class has nothing to be held by: the installation was cut short.
        """
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
        """Set by rtnetlink, with a ``plug`` in a ``prio`` for each class.

        To make a ``prio`` restarts the device, which stops the schedule: it is set once more. The
        ``plug`` come last, so where all of them are the installation is complete. Where a part is
        refused, such as for want of a module, all of it is removed again.
        """
        index = self._existing()
        request = replace_request(index, handle=handle, mapping=mapping, timetable=table)
        try:
            self._exchange(
                request,
                *_bands(index, handle, mapping),
                request,
                *_holds(index, handle, mapping),
                *_releases(index, handle, mapping),
            )
        except KernelError:
            with suppress(KernelError):
                self.uninstall(handle=handle)
            raise

    def change(
        self, *, handle: int, mapping: Mapping, table: Timetable, changeover: Changeover
    ) -> None:
        """Held, set and released by one child, which waits for each time itself.

        Past its time it waits until the kernel no longer shows the schedule as pending.
        """
        index = self._existing()
        request = replace_request(index, handle=handle, mapping=mapping, timetable=table)
        times = (changeover.hold_at, changeover.begin, changeover.release_at, table.schedule.period)
        words = (
            " ".join(one.hex() for one in requests)
            for requests in (
                _holds(index, handle, mapping),
                (request,),
                (dump_request(),),
                _releases(index, handle, mapping),
            )
        )
        command = self._command("change", *map(str, (_PATIENCE, index, *times)), *words)
        ahead = 2 * table.schedule.period + _PATIENCE + changeover.release_at - self._tai()
        self._answers(command, 2 * self._seconds + max(0, ahead) / NS_PER_S)

    def uninstall(self, *, handle: int) -> None:
        """Deleted by rtnetlink."""
        self._exchange(delete_request(self._existing(), handle=handle))

    def release(self, *, handle: int, mapping: Mapping) -> bool:
        """Asked of each class's ``plug``, which the kernel refuses where there is none."""
        index, complete = self._index(), True
        for request in () if index is None else _releases(index, handle, mapping):
            for answer in self._send(self._command("exchange", request.hex()), 2 * self._seconds):
                try:
                    check_answer(answer)
                except KernelError:
                    complete = False
        return complete

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
        command = self._command("exchange", *(one.hex() for one in requests))
        return self._answers(command, 2 * self._seconds)

    def _command(self, *words: str) -> tuple[str, ...]:
        return python_file(rtnetlink_child.__file__, str(self._seconds), *words)

    def _answers(self, command: Sequence[str], seconds: float) -> bytes:
        answers = self._send(command, seconds)
        try:
            for answer in answers:
                check_answer(answer)
        except KernelError as error:
            raise KernelError(f"{self._interface}: {error}") from error
        return b"".join(answers)

    def _send(self, command: Sequence[str], seconds: float) -> list[bytes]:
        """The kernel's answers, refusals among them."""
        done = self._run(command, seconds)
        if done.status != 0:
            raise KernelError(f"rtnetlink: {done.errors.splitlines()[-1:]}")
        return [bytes.fromhex(line) for line in done.output.split()]

    def _bit_rate(self) -> int:
        try:
            speed = int(self._text("speed"))
        except OSError:
            speed = -1
        return speed * _MEGABIT if speed > 0 else _UNKNOWN

    def _text(self, name: str) -> str:
        return (self._net / name).read_text(encoding="ascii").strip()


def _bands(index: int, handle: int, mapping: Mapping) -> list[bytes]:
    return [band_request(index, handle=handle, queue=queue) for _count, queue in mapping.queues[1:]]


def _holds(index: int, handle: int, mapping: Mapping) -> list[bytes]:
    return [hold_request(index, handle=handle, queue=queue) for _count, queue in mapping.queues[1:]]


def _releases(index: int, handle: int, mapping: Mapping) -> list[bytes]:
    return [
        release_request(index, handle=handle, queue=queue) for _count, queue in mapping.queues[1:]
    ]
