"""The whole daemon on the real back ends, over fakes of what is below them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemons.scarmiglione.network.back_end import Channel, SlotBackEnd
from daemons.scarmiglione.network.rtnet.ioctl import IoctlCommands
from daemons.scarmiglione.network.rtnet.proc_rtnet import RtnetFiles
from daemons.scarmiglione.network.rtnet.station import RtnetBackEnd
from daemons.scarmiglione.network.taprio.station import TaprioBackEnd
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.scarmiglione.stations import (
    FakeGateDevice,
    FakeTime,
    attached,
    fake_ioctl,
)
from tests.fakes.scarmiglione.world import NET, NODE, World, grant, network, uid, window

CYCLE = Cycle(
    period=Nanoseconds(5 * NS_PER_MS), bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(0)
)
ONE = (window(2600, phase=1, every=4),)
JOINT = (window(3000), window(4000))


@dataclass
class Station:
    world: World
    time: FakeTime
    make: Callable[[], SlotBackEnd]

    def tick(self) -> None:
        self.time.wait(1.0)
        self.world.tick()

    def holds(self, channel: Channel, windows: tuple[Window, ...]) -> bool:
        back_end = self.make()
        return back_end.holds(back_end.read(), channel, windows)


@pytest.fixture(params=["rtnet", "taprio"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Station:
    make, time = rtnet(tmp_path) if request.param == "rtnet" else taprio()
    tdma = network().tdma
    assert tdma is not None
    world = World(networks={}, make=lambda **_: make())
    world.networks.clear()
    world.declare(replace(network(), tdma=replace(tdma, cycle=CYCLE)))
    world.open()
    return Station(world, time, make)


def rtnet(root: Path) -> tuple[Callable[[], SlotBackEnd], FakeTime]:
    kernel = attached(root, cycle=CYCLE.period)
    time = FakeTime(kernel.pass_time)

    def make() -> SlotBackEnd:
        return RtnetBackEnd(
            interface="rteth0",
            cycle=CYCLE,
            last=15,
            files=RtnetFiles(proc=kernel.proc, sys=kernel.sys, clocks=time.clocks),
            commands=IoctlCommands(
                ioctl=fake_ioctl(kernel), cycle=CYCLE.period, mtu=CYCLE.mtu, last=15
            ),
            wait=time.wait,
        )

    return make, time


def taprio() -> tuple[Callable[[], SlotBackEnd], FakeTime]:
    time = FakeTime()
    device = FakeGateDevice(time)
    facts = device.facts()
    assert facts is not None

    def make() -> SlotBackEnd:
        return TaprioBackEnd(
            interface="eth1",
            cycle=CYCLE,
            device=device,
            facts=facts,
            clocks=time.clocks,
            wait=time.wait,
        )

    return make, time


def channel_of(station: Station, number: int) -> Channel:
    entry = station.world.daemon.book.find(uid(number))
    assert entry is not None
    return entry.slots[0].channel


def test_slots_are_applied_kept_and_given_back(station: Station) -> None:
    world = station.world

    first, second = world.give(1, *ONE), world.give(2, *JOINT)
    one, joint = channel_of(station, 1), channel_of(station, 2)

    assert (first.reason, second.reason) == (None, None)
    assert station.holds(one, ONE)
    assert station.holds(joint, JOINT)
    station.tick()
    assert world.daemon.health.health(NET) == "ok"
    world.unreserve(2)
    world.show()
    station.tick()
    assert not station.holds(joint, JOINT)
    assert station.holds(one, ONE)
    assert world.daemon.book.find(uid(2)) is None


def test_a_daemon_without_its_book_takes_over_what_it_finds(station: Station) -> None:
    world = station.world
    world.give(1, *ONE)
    world.give(2, *JOINT)
    before = {number: channel_of(station, number) for number in (1, 2)}
    world.bind(1, annotations=grant(before[1].number, *ONE))
    world.bind(2, annotations=grant(before[2].number, *JOINT))
    world.store.texts.clear()

    world.restart()

    assert {number: channel_of(station, number) for number in (1, 2)} == before
    station.tick()
    assert world.daemon.health.health(NET) == "ok"
    assert world.metric("drift", kind="foreign") == 0


def test_slots_that_were_removed_by_hand_are_set_up_again(station: Station) -> None:
    world = station.world
    world.give(2, *JOINT)
    joint = channel_of(station, 2)
    station.make().remove(joint)

    station.tick()

    assert station.holds(joint, JOINT)
    assert "SlotDrift" in world.events_of(NODE)


def test_a_slot_of_another_program_stays_and_is_drift(station: Station) -> None:
    back_end = station.make()
    free = back_end.limits.find_channel(frozenset(), 1)
    assert free is not None
    assert back_end.apply(free, ONE) is None

    station.tick()

    assert station.holds(free, ONE)
    assert station.world.daemon.health.health(NET) == "drift"
