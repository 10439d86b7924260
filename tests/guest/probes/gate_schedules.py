"""The back end ``taprio`` on a real kernel: packets of three classes, and a schedule that changes.

A pair of veth devices is the network. The sender's packets get the kernel's time of arrival.
"""

import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemons.scarmiglione.network.back_end import (
    BackEndName,
    Channel,
    ChannelKind,
    Refusal,
    SlotBackEnd,
)
from daemons.scarmiglione.network.clocks import LINUX
from daemons.scarmiglione.network.discovery import Host, open_back_end
from daemons.scarmiglione.network.taprio.changeover import Timetable
from daemons.scarmiglione.network.taprio.device import LinuxGateDevice
from daemons.scarmiglione.network.taprio.gate_schedule import MAX_ENTRIES, Entry, GateSchedule
from daemons.scarmiglione.network.taprio.station import HANDLE, queue_mapping
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

PERIOD = 100 * NS_PER_MS
ETHER_TYPE = 0x88B5
"""For local experiments (IEEE 802)."""
SO_TIMESTAMPNS = 35
PAYLOAD = 200
ATTEMPTS = 3
LATEST = 20
"""Periods by which a busy machine may be late with a change."""
CYCLE = Cycle(period=Nanoseconds(PERIOD), bit_rate=NS_PER_S, mtu=1500, guard=Nanoseconds(10_000))
Table = Mapping[int, Sequence[Window]]
Arrival = tuple[int, int]
"""Time in ns, and class."""


def tell(fact: str, value: object) -> None:
    sys.stdout.write(json.dumps({"fact": f"gates-{fact}", "value": value}) + "\n")
    sys.stdout.flush()


def window(begin_ms: int, end_ms: int, *, phase: int = 0, every: int = 1) -> Window:
    return Window(
        offset=Nanoseconds(begin_ms * NS_PER_MS),
        phase=phase,
        every=every,
        length=Nanoseconds((end_ms - begin_ms) * NS_PER_MS),
        payload=PAYLOAD,
    )


FIRST: Table = {1: [window(5, 35)], 2: [window(35, 65)], 3: [window(70, 100)]}
SECOND: Table = {
    1: [window(5, 35)],
    2: [window(70, 90, every=2), window(40, 60, phase=1, every=2)],
    3: [window(40, 60, every=2), window(70, 90, phase=1, every=2)],
}


def channel(number: int) -> Channel:
    return Channel(number=number, kind=ChannelKind.PRIORITY)


def is_inside(arrival: Arrival, table: Table) -> bool:
    """In a window of its class; of a class without an owner, in no window at all."""
    when, number = arrival
    cycle, offset = divmod(when, PERIOD)
    owners = [
        owner
        for owner, held in table.items()
        for one in held
        if cycle % one.every == one.phase and one.offset <= offset < one.offset + one.length
    ]
    return owners == ([number] if number in table else [])


class Traffic:
    """Packets of all classes, a few ms apart at random, until it is stopped."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.sent = 0
        self._stop = threading.Event()
        ahead = time.clock_gettime_ns(time.CLOCK_TAI) - time.time_ns()
        self._offset = round(ahead / NS_PER_S) * NS_PER_S  # leap seconds
        self._link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHER_TYPE))
        self._link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._link.bind(("vb", ETHER_TYPE))
        self._link.settimeout(0.5)
        self._threads = [threading.Thread(target=one) for one in (self._receive, self._send)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        sockets = {}
        for number in FIRST:
            sockets[number] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sockets[number].setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, number)
            sockets[number].bind(("va", 0))
        chance = random.Random(40)
        while not self._stop.wait(chance.uniform(0.002, 0.009)):
            for number, link in sockets.items():
                body = struct.pack("!B", number).ljust(PAYLOAD, b"\0")
                link.send(b"\xff" * 6 + b"\x02\0\0\0\0\x01" + struct.pack("!H", ETHER_TYPE) + body)
                self.sent += 1

    def _receive(self) -> None:
        idle = 0
        while True:
            try:
                data, extra, _flags, _address = self._link.recvmsg(2048, 256)
            except TimeoutError:
                idle += 1
                if self._stop.is_set() and (len(self.arrivals) >= self.sent or idle > 10):
                    return
                continue
            idle = 0
            seconds, rest = struct.unpack("=qq", extra[0][2][:16])
            self.arrivals.append((seconds * NS_PER_S + rest + self._offset, data[14]))


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def count(arrivals: Sequence[Arrival], table: Table) -> dict[str, list[int]]:
    """Packets, and those inside their windows, of each class."""
    return {
        str(number): [
            sum(one[1] == number for one in arrivals),
            sum(one[1] == number and is_inside(one, table) for one in arrivals),
        ]
        for number in table
    }


def outside(arrivals: Sequence[Arrival], table: Table) -> list[list[float]]:
    """Class, cycle and ms in it, of the first packets that are outside."""
    return [
        [one[1], one[0] // PERIOD % 2, one[0] % PERIOD / NS_PER_MS]
        for one in arrivals
        if not is_inside(one, table)
    ][:20]


def opened(interface: str) -> SlotBackEnd | Refusal:
    return open_back_end(
        BackEndName.TAPRIO, interface=interface, cycle=CYCLE, host=Host(), wait=time.sleep
    )


def running_since() -> tuple[int, int]:
    """The base time of the schedule that runs, and its period."""
    root = LinuxGateDevice("va").root()
    assert root is not None
    assert root.taprio is not None
    assert root.taprio.running is not None
    table = root.taprio.running
    return table.base, table.schedule.period


def change(arrivals: Sequence[Arrival], former: Table, table: Table, since: tuple[int, int]) -> int:
    """When the kernel changed over.

    That is the base time, or whole periods later where it was told after that: the kernel does not
    show which. The one that explains most packets is taken.
    """
    base, period = since

    def unexplained(begin: int) -> int:
        return sum(not is_inside(one, former if one[0] < begin else table) for one in arrivals)

    return min((base + later * period for later in range(LATEST)), key=unexplained)


def replace_live(back_end: SlotBackEnd) -> list[tuple[tuple[int, int], Table]]:
    """From the first table to the second in three steps: since when which table held."""
    stages: list[tuple[tuple[int, int], Table]] = []
    answers = [back_end.remove(channel(3))]
    stages.append((running_since(), {1: FIRST[1], 2: FIRST[2]}))
    answers.append(back_end.apply(channel(2), SECOND[2]))
    stages.append((running_since(), {1: FIRST[1], 2: SECOND[2]}))
    answers.append(back_end.apply(channel(3), SECOND[3]))
    stages.append((running_since(), SECOND))
    tell("changed", [str(answer) for answer in answers])
    return stages


def probe_packets() -> None:
    """Measured again where the machine may have stopped between a gate and a packet's time.

    What is wrong with a schedule is so in every attempt; the facts are the last one's.
    """
    back_end = opened("va")
    assert not isinstance(back_end, Refusal), back_end
    tell("limits", [back_end.limits.first, back_end.limits.last])
    for attempt in range(1, ATTEMPTS + 1):
        tell("attempts", attempt)
        if measure(back_end):
            break


def measure(back_end: SlotBackEnd) -> bool:
    """Packets under the first table, on the way to the second, and under it; whether all fit."""
    for number in FIRST:
        back_end.remove(channel(number))
    tell("applied", [str(back_end.apply(channel(n), held)) for n, held in FIRST.items()])
    traffic = Traffic()
    traffic.start()
    time.sleep(3)
    state = back_end.read()
    tell("first-holds", all(back_end.holds(state, channel(n), held) for n, held in FIRST.items()))
    steps = replace_live(back_end)
    time.sleep(3)
    traffic.stop()
    tables = [FIRST, *(table for _since, table in steps)]
    arrivals: list[list[Arrival]] = []
    rest = sorted(traffic.arrivals)
    for index, (since, table) in enumerate(steps):
        end = steps[index + 1][0][0] if index + 1 < len(steps) else 1 << 63
        begin = change([one for one in rest if one[0] < end], tables[index], table, since)
        arrivals.append([one for one in rest if one[0] < begin])
        rest = [one for one in rest if one[0] >= begin]
    arrivals.append(rest)
    tell("first", count(arrivals[0], FIRST))
    tell("second", count(arrivals[-1], SECOND))
    found = [
        [len(some), outside(some, table)] for some, table in zip(arrivals, tables, strict=True)
    ]
    tell("stages", found)
    tell("lost", traffic.sent - len(traffic.arrivals))
    state = back_end.read()
    tell("second-holds", all(back_end.holds(state, channel(n), held) for n, held in SECOND.items()))
    tell("repeated", str(back_end.apply(channel(1), SECOND[1])))
    return traffic.sent == len(traffic.arrivals) and not any(late for _count, late in found)


def probe_read_back() -> None:
    """What ``tc`` says of each ms of two cycles, by its own base time."""
    (root,) = json.loads(run("tc", "-j", "qdisc", "show", "dev", "va", "root"))
    options = root["options"]
    shown: list[list[Any]] = []
    for ms in range(2 * PERIOD // NS_PER_MS):
        place = (ms * NS_PER_MS + NS_PER_MS // 2 - options["base_time"]) % options["cycle_time"]
        for entry in options["schedule"]:
            if place < entry["interval"]:
                break
            place -= entry["interval"]
        if shown and shown[-1][0] == entry["gatemask"]:
            shown[-1][1] += 1
        else:
            shown.append([entry["gatemask"], 1])
    tell("tc", shown)


def probe_lost_link() -> None:
    """Down and up again: the kernel's timer has stopped, and the schedule is installed anew."""
    back_end = opened("va")
    assert not isinstance(back_end, Refusal), back_end
    run("ip", "link", "set", "va", "down")
    run("ip", "link", "set", "va", "up")
    state = back_end.read()
    tell("link-lost", [len(state.slots), len(state.problems)])
    answer = back_end.apply(channel(1), SECOND[1])
    state = back_end.read()
    held = all(back_end.holds(state, channel(n), windows) for n, windows in SECOND.items())
    tell("link-back", [str(answer), held, len(state.problems)])


def probe_longest() -> None:
    """The longest schedule, twice: one runs, the other waits; both are read back."""
    device = LinuxGateDevice("va")
    table = [
        Timetable(
            base=(LINUX.tai() // NS_PER_S + seconds) * NS_PER_S,
            schedule=GateSchedule(
                entries=tuple(
                    Entry(gates=1 + n % 2 + shift, interval=Nanoseconds(NS_PER_MS))
                    for n in range(MAX_ENTRIES)
                )
            ),
        )
        for seconds, shift in ((1, 0), (600, 4))
    ]
    for one in table:
        device.install(handle=HANDLE, mapping=queue_mapping(4, 4), table=one)
        time.sleep(2)
    root = device.root()
    taprio = None if root is None else root.taprio
    tell("longest", taprio is not None and [taprio.running, taprio.pending] == table)


def main() -> None:
    run("ip", "link", "add", "va", "numtxqueues", "4", "type", "veth", "peer", "name", "vb")
    run("ip", "link", "add", "one", "type", "veth", "peer", "name", "other")
    for device in ("va", "vb", "one", "other"):
        Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
        run("ip", "link", "set", device, "up")
    single = opened("one")
    tell("single-queue", single.detail if isinstance(single, Refusal) else "accepted")
    probe_packets()
    probe_read_back()
    probe_lost_link()
    probe_longest()


if __name__ == "__main__":
    main()
