"""What holds for every back end, and unchanged for a real network.

``K40S_RTNET_DEVICE`` names a real-time interface that is attached, such as ``rteth0``; the suite
then runs on it as well, as root on that station. ``K40S_RTNET_CYCLE`` is its network's cycle
(``5ms`` unless said otherwise), ``K40S_RTNET_LAST`` the largest slot id of its table (7),
``K40S_RTNET_BACK_END`` one of ``tdmacfg`` and ``ioctl``. Slots from the middle of the cycle on,
and ids from 2 on, have to be free; they are removed again.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemons.scarmiglione.network.back_end import BackEndName, Channel, Refusal, SlotBackEnd
from daemons.scarmiglione.network.discovery import Host, open_back_end
from daemons.scarmiglione.network.dry_run import NOT_ENFORCED, DryRunBackEnd
from daemons.scarmiglione.network.rtnet.ioctl import IoctlCommands
from daemons.scarmiglione.network.rtnet.proc_rtnet import RtnetFiles
from daemons.scarmiglione.network.rtnet.station import RtnetBackEnd
from daemons.scarmiglione.network.rtnet.tdmacfg import Tdmacfg
from daemons.scarmiglione.network.taprio.station import TaprioBackEnd
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds, parse_duration
from tests.fakes.scarmiglione.stations import (
    FakeGateDevice,
    FakeTime,
    attached,
    fake_ioctl,
    install_tdmacfg,
)

REAL = os.environ.get("K40S_RTNET_DEVICE", "")
FAKES = ("tdmacfg", "ioctl", "taprio", "none")


def cycle_of(period: Nanoseconds) -> Cycle:
    return Cycle(period=period, bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(0))


@dataclass(frozen=True)
class Scene:
    back_end: SlotBackEnd
    cycle: Cycle

    def window(self, number: int, *, phase: int = 0, every: int = 1) -> Window:
        """The ``number``-th of eight places in the second half of the cycle."""
        half, step = self.cycle.period // 2, self.cycle.period // 16
        offset = (half + number * step) // NS_PER_US * NS_PER_US
        return Window(
            offset=Nanoseconds(offset),
            phase=phase,
            every=every,
            length=Nanoseconds(100 * NS_PER_US),
            payload=256,
        )

    def channel(self, windows: Sequence[Window]) -> Channel:
        found = self.back_end.limits.find_channel(self.back_end.read().taken, len(windows))
        assert found is not None
        return found

    def apply(self, windows: Sequence[Window]) -> Channel:
        channel = self.channel(windows)
        assert self.back_end.apply(channel, windows) is None
        return channel

    def holds(self, channel: Channel, windows: Sequence[Window]) -> bool:
        return self.back_end.holds(self.back_end.read(), channel, windows)


@pytest.fixture(params=[*FAKES, *(["real"] if REAL else [])])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    made = real() if request.param == "real" else fake(request.param, tmp_path)
    before = made.back_end.read().taken
    yield made
    if request.param == "real":
        for number in sorted(made.back_end.read().taken - before, reverse=True):
            made.back_end.remove(Channel(number=number, kind=made.back_end.limits.kind))


def real() -> Scene:
    cycle = cycle_of(parse_duration(os.environ.get("K40S_RTNET_CYCLE", "5ms")))
    name = os.environ.get("K40S_RTNET_BACK_END", "")
    found = open_back_end(
        BackEndName(name) if name else None,
        interface=REAL,
        cycle=cycle,
        host=Host(last_channel=int(os.environ.get("K40S_RTNET_LAST", "7"))),
        wait=time.sleep,
    )
    assert not isinstance(found, Refusal), found
    return Scene(found, cycle)


def fake(name: str, root: Path) -> Scene:
    cycle = cycle_of(Nanoseconds(5 * NS_PER_MS))
    if name == "none":
        clocks = FakeTime().clocks
        return Scene(DryRunBackEnd(interface="eth1", cycle=cycle, last=15, clocks=clocks), cycle)
    if name == "taprio":
        fake_time = FakeTime()
        device = FakeGateDevice(fake_time)
        facts = device.facts()
        assert facts is not None
        return Scene(
            TaprioBackEnd(
                interface="eth1",
                cycle=cycle,
                device=device,
                facts=facts,
                clocks=fake_time.clocks,
                wait=fake_time.wait,
            ),
            cycle,
        )
    rtnet = attached(root, cycle=cycle.period)
    fake_time = FakeTime(rtnet.pass_time)
    commands = (
        Tdmacfg(command=str(install_tdmacfg(rtnet)), seconds=10.0)
        if name == "tdmacfg"
        else IoctlCommands(ioctl=fake_ioctl(rtnet), cycle=cycle.period, mtu=cycle.mtu, last=15)
    )
    return Scene(
        RtnetBackEnd(
            interface="rteth0",
            cycle=cycle,
            last=15,
            files=RtnetFiles(proc=rtnet.proc, sys=rtnet.sys, clocks=fake_time.clocks),
            commands=commands,
            wait=fake_time.wait,
        ),
        cycle,
    )


def test_a_station_is_attached_and_has_channels(scene: Scene) -> None:
    state = scene.back_end.read()

    assert state.attached
    assert scene.back_end.limits.free(state.taken) >= 2


def test_what_is_applied_is_held_until_it_is_removed(scene: Scene) -> None:
    windows = [scene.window(0, phase=1, every=4)]
    channel = scene.apply(windows)

    assert scene.holds(channel, windows)
    assert scene.back_end.remove(channel) is None
    assert not scene.holds(channel, windows)
    assert channel.number not in scene.back_end.read().taken


def test_several_windows_are_one_channel(scene: Scene) -> None:
    windows = [scene.window(number) for number in (0, 2, 4)]
    channel = scene.apply(windows)

    assert scene.holds(channel, windows)
    assert not scene.holds(channel, windows[:2])
    assert scene.back_end.remove(channel) is None


def test_channels_do_not_touch_one_another(scene: Scene) -> None:
    one, other = [scene.window(1)], [scene.window(3, every=2)]
    first = scene.apply(one)
    second = scene.apply(other)

    assert set(first.numbers).isdisjoint(second.numbers)
    assert scene.back_end.remove(first) is None
    assert scene.holds(second, other)
    assert scene.back_end.remove(second) is None


def test_repeats_of_apply_and_remove_change_nothing(scene: Scene) -> None:
    windows = [scene.window(5)]
    channel = scene.apply(windows)

    assert scene.back_end.apply(channel, windows) is None
    assert scene.holds(channel, windows)
    assert scene.back_end.remove(channel) is None
    assert scene.back_end.remove(channel) is None


def test_a_channel_takes_other_windows(scene: Scene) -> None:
    channel = scene.apply([scene.window(6)])
    later = [scene.window(7, phase=1, every=2)]

    assert scene.back_end.apply(channel, later) is None

    assert scene.holds(channel, later)
    assert not scene.holds(channel, [scene.window(6)])
    assert scene.back_end.remove(channel) is None


@pytest.mark.parametrize("payload", [1, 59, 1501])
def test_windows_that_no_kernel_should_be_told_are_refused(scene: Scene, payload: int) -> None:
    bad = [replace(scene.window(2), payload=payload)]
    before = scene.back_end.read().slots

    assert scene.back_end.apply(scene.channel(bad), bad) is not None
    assert scene.back_end.read().slots == before


def test_a_window_past_the_cycle_and_a_channel_past_the_table_are_refused(scene: Scene) -> None:
    limits = scene.back_end.limits
    past = Channel(number=limits.last + 1, kind=limits.kind)
    late = Window(
        offset=scene.cycle.period,
        phase=0,
        every=1,
        length=Nanoseconds(100 * NS_PER_US),
        payload=256,
    )

    assert scene.back_end.apply(scene.channel([late]), [late]) is not None
    assert scene.back_end.apply(past, [scene.window(0)]) is not None
    assert scene.back_end.remove(past) is not None


def test_what_is_not_for_pods_is_neither_given_nor_removed(scene: Scene) -> None:
    limits = scene.back_end.limits
    reserved = Channel(number=limits.first - 1, kind=limits.kind)

    assert scene.back_end.apply(reserved, [scene.window(0)]) is not None
    assert scene.back_end.remove(reserved) is not None


def test_only_a_dry_run_is_not_enforced_and_it_says_so(scene: Scene) -> None:
    is_dry = scene.back_end.name is BackEndName.NONE

    assert scene.back_end.limits.enforced is not is_dry
    assert (NOT_ENFORCED in scene.back_end.read().problems) is is_dry
