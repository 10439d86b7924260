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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from tests.guest.stalls import BOUND, Stalls, Watch

PERIOD = 100 * NS_PER_MS
ETHER_TYPE = 0x88B5
"""For local experiments (IEEE 802)."""
SO_TIMESTAMPNS = 35
PAYLOAD = 200
ATTEMPTS = 3
ENOUGH = 150
"""Packets of each class that have to be judged under a table."""
LATEST = 20
"""Periods by which a busy machine may be late with a change."""
CYCLE = Cycle(period=Nanoseconds(PERIOD), bit_rate=NS_PER_S, mtu=1500, guard=Nanoseconds(10_000))
Table = Mapping[int, Sequence[Window]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A packet: its class, and when it was sent and received (``CLOCK_TAI``, ns)."""

    number: int
    sent: int
    when: int


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


def is_inside(when: int, number: int, table: Table) -> bool:
    """In a window of its class; of a class without an owner, in no window at all."""
    cycle, offset = divmod(when, PERIOD)
    owners = [
        owner
        for owner, held in table.items()
        for one in held
        if cycle % one.every == one.phase and one.offset <= offset < one.offset + one.length
    ]
    return owners == ([number] if number in table else [])


def judge(packet: Arrival, table: Table) -> str:
    """``inside``, ``outside``, or ``edge``: not to be told apart.

    A packet gets its time after the kernel looked at the gate. A delay between the two that is too
    short to be seen as a stall moves a packet past the end of its window, never before it.
    """
    if is_inside(packet.when, packet.number, table):
        return "inside"
    return "edge" if is_inside(packet.when - BOUND, packet.number, table) else "outside"


class Traffic:
    """Packets of all classes, a few ms apart at random, until it is stopped."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.sent: list[tuple[int, int]] = []
        """Class and time of each packet; its place is its number."""
        self.lost: list[list[float]] = []
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
        arrived = {(one.number, one.sent) for one in self.arrivals}
        begin = self.sent[0][1]
        self.lost = [
            [place, number, (when - begin) / NS_PER_MS]
            for place, (number, when) in enumerate(self.sent)
            if (number, when) not in arrived
        ]

    def _send(self) -> None:
        sockets = {}
        for number in FIRST:
            sockets[number] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sockets[number].setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, number)
            sockets[number].bind(("va", 0))
        chance = random.Random(40)
        while not self._stop.wait(chance.uniform(0.002, 0.009)):
            for number, link in sockets.items():
                now = time.clock_gettime_ns(time.CLOCK_TAI)
                body = struct.pack("!BQ", number, now).ljust(PAYLOAD, b"\0")
                self.sent.append((number, now))
                link.send(b"\xff" * 6 + b"\x02\0\0\0\0\x01" + struct.pack("!H", ETHER_TYPE) + body)

    def _receive(self) -> None:
        idle = 0
        while True:
            try:
                data, extra, _flags, _address = self._link.recvmsg(2048, 256)
            except TimeoutError:
                idle += 1
                if self._stop.is_set() and (len(self.arrivals) >= len(self.sent) or idle > 10):
                    return
                continue
            idle = 0
            seconds, rest = struct.unpack("=qq", extra[0][2][:16])
            number, sent = struct.unpack_from("!BQ", data, 14)
            when = seconds * NS_PER_S + rest + self._offset
            self.arrivals.append(Arrival(number=number, sent=sent, when=when))


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Early:
    """Packets that are outside while the schedule is replaced, by replacement and class."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.replaced: list[tuple[int, int]] = []
        """From when to when, of one attempt."""

    def take(self, packet: Arrival) -> bool:
        """Count it if it is one of them."""
        for place, (begin, end) in enumerate(self.replaced):
            if begin <= packet.when < end:
                self.counts[f"{place}, class {packet.number}"] += 1
                return True
        return False


@dataclass
class Stage:
    """What was found while one table held, over all attempts."""

    judged: Counter[str] = field(default_factory=Counter)
    """By class."""
    unjudged: Counter[str] = field(default_factory=Counter)
    """By why not."""
    outside: list[list[float]] = field(default_factory=list)
    """Class, cycle and ms in it."""

    def add(
        self,
        packets: Sequence[Arrival],
        table: Table,
        stalls: Stalls,
        early: "Early",
    ) -> None:
        for packet in packets:
            if stalls.cover(packet.when) or stalls.cover(packet.sent):
                self.unjudged["stalled"] += 1
                continue
            verdict = judge(packet, table)
            if verdict == "edge":
                self.unjudged[verdict] += 1
                continue
            self.judged[str(packet.number)] += 1
            if verdict == "outside" and not early.take(packet):
                cycle, offset = divmod(packet.when, PERIOD)
                self.outside.append([packet.number, cycle % 2, offset / NS_PER_MS])

    def is_enough(self) -> bool:
        return all(self.judged[str(number)] >= ENOUGH for number in FIRST) and (
            self.judged.total() >= self.unjudged.total()
        )


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


def change(
    packets: Sequence[Arrival], former: Table, table: Table, since: tuple[int, int], stalls: Stalls
) -> int:
    """When the kernel changed over.

    That is the base time, or whole periods later where it was told after that: the kernel does not
    show which. The one that explains most packets is taken.
    """
    base, period = since
    last = base + LATEST * period
    doubtful = [one for one in packets if base <= one.when < last and not stalls.cover(one.when)]

    def unexplained(begin: int) -> int:
        return sum(
            judge(one, former if one.when < begin else table) == "outside" for one in doubtful
        )

    return min(range(base, last, period), key=unexplained)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A replacement: the call's begin and end, and since when which table holds."""

    called: tuple[int, int]
    since: tuple[int, int]
    table: Table


def replace_live(back_end: SlotBackEnd) -> list[Step]:
    """From the first table to the second in three steps."""
    steps: list[Step] = []
    answers: list[Refusal | None] = []
    for change_one, table in (
        (lambda: back_end.remove(channel(3)), {1: FIRST[1], 2: FIRST[2]}),
        (lambda: back_end.apply(channel(2), SECOND[2]), {1: FIRST[1], 2: SECOND[2]}),
        (lambda: back_end.apply(channel(3), SECOND[3]), SECOND),
    ):
        begin = LINUX.tai()
        answers.append(change_one())
        steps.append(Step(called=(begin, LINUX.tai()), since=running_since(), table=table))
    tell("changed", [str(answer) for answer in answers])
    return steps


def probe_packets() -> None:
    """Measured again where the guest stood still so often that too few packets can be judged.

    Whatever was found outside or lost in any attempt is told.
    """
    back_end = opened("va")
    assert not isinstance(back_end, Refusal), back_end
    tell("limits", [back_end.limits.first, back_end.limits.last])
    stages = [Stage() for _ in range(4)]
    lost: list[list[float]] = []
    early = Early()
    for attempt in range(1, ATTEMPTS + 1):
        tell("attempts", attempt)
        lost += measure(back_end, stages, early)
        if stages[0].is_enough() and stages[-1].is_enough():
            break
    tell("stages", [[one.judged, one.unjudged, one.outside[:20]] for one in stages])
    tell("early", early.counts)
    tell("lost", lost[:20])


def measure(back_end: SlotBackEnd, stages: Sequence[Stage], early: Early) -> list[list[float]]:
    """Packets under the first table, on the way to the second, and under it; those lost."""
    for number in FIRST:
        back_end.remove(channel(number))
    tell("applied", [str(back_end.apply(channel(n), held)) for n, held in FIRST.items()])
    watch, traffic = Watch(), Traffic()
    traffic.start()
    time.sleep(3)
    state = back_end.read()
    tell("first-holds", all(back_end.holds(state, channel(n), held) for n, held in FIRST.items()))
    steps = replace_live(back_end)
    time.sleep(3)
    traffic.stop()
    stalls = watch.stop()
    tell("stalls", [len(stalls.joint), sum(end - begin for begin, end in stalls.joint) / NS_PER_S])
    early.replaced = [step.called for step in steps]
    former: Table = FIRST
    rest = sorted(traffic.arrivals, key=lambda one: one.when)
    for index, step in enumerate(steps):
        end = steps[index + 1].since[0] if index + 1 < len(steps) else 1 << 63
        doubtful = [one for one in rest if one.when < end]
        begin = change(doubtful, former, step.table, step.since, stalls)
        stages[index].add([one for one in rest if one.when < begin], former, stalls, early)
        rest = [one for one in rest if one.when >= begin]
        former = step.table
    stages[-1].add(rest, SECOND, stalls, early)
    state = back_end.read()
    tell("second-holds", all(back_end.holds(state, channel(n), held) for n, held in SECOND.items()))
    tell("repeated", str(back_end.apply(channel(1), SECOND[1])))
    return traffic.lost


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
    found: list[Timetable | None] = []
    for place, one in enumerate(table):
        device.install(handle=HANDLE, mapping=queue_mapping(4, 4), table=one)
        for _ in range(100):
            root = device.root()
            assert root is not None
            assert root.taprio is not None
            found = [root.taprio.running, root.taprio.pending]
            if found[place] == one:
                break
            time.sleep(0.1)
    tell("longest", found == table)


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
