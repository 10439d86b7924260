from pathlib import Path

import pytest

from daemons.scarmiglione.network.back_end import BackEndName, Channel, ChannelKind
from daemons.scarmiglione.network.discovery import Host
from daemons.scarmiglione.network.node import NodeBackEnds
from k40s.errors import KernelError
from k40s.reasons import Reason
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.scarmiglione.stations import (
    CHARACTER_DEVICE,
    FakeTime,
    attached,
    install_tdmacfg,
)

CYCLE = Cycle(
    period=Nanoseconds(5 * NS_PER_MS), bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(0)
)
CHANNEL = Channel(number=2, kind=ChannelKind.CHANNEL)
WINDOWS = [
    Window(
        offset=Nanoseconds(2 * NS_PER_MS),
        phase=0,
        every=1,
        length=Nanoseconds(100 * NS_PER_US),
        payload=256,
    )
]


def test_an_interface_that_is_not_there_has_no_channels_and_refuses(tmp_path: Path) -> None:
    host = Host(proc=tmp_path, device=tmp_path / "none", clocks=FakeTime().clocks)
    make = NodeBackEnds(host=host, name=None, wait=FakeTime().wait)

    back_end = make(interface="rteth0", cycle=CYCLE)

    state = back_end.read()
    assert (state.attached, state.problems) == (False, (f"the node has no {tmp_path}/rtnet",))
    assert (back_end.name, back_end.interface) == (BackEndName.TDMACFG, "rteth0")
    assert back_end.limits.channels == 0
    assert not back_end.holds(state, CHANNEL, WINDOWS)
    assert back_end.remove(CHANNEL) is None
    refusal = back_end.apply(CHANNEL, WINDOWS)
    assert refusal is not None
    assert refusal.reason is Reason.NETWORK_NO_MECHANISM


def test_it_serves_as_soon_as_the_node_has_what_it_needs(tmp_path: Path) -> None:
    root = tmp_path / "station"
    time = FakeTime()
    host = Host(
        proc=root / "proc",
        sys=root / "sys",
        device=CHARACTER_DEVICE,
        tdmacfg=root / "tdmacfg",
        last_channel=15,
        clocks=time.clocks,
    )
    back_end = NodeBackEnds(host=host, name=None, wait=time.wait)(interface="rteth0", cycle=CYCLE)
    assert not back_end.read().attached
    rtnet = attached(root, role="master", cycle=CYCLE.period)
    install_tdmacfg(rtnet)

    assert back_end.apply(CHANNEL, WINDOWS) is None

    state = back_end.read()
    assert back_end.name is BackEndName.TDMACFG
    assert back_end.limits.channels == 14
    assert back_end.holds(state, CHANNEL, WINDOWS)
    assert back_end.remove(CHANNEL) is None


def test_slots_that_cannot_be_removed_for_want_of_the_command_are_not_taken_for_gone(
    tmp_path: Path,
) -> None:
    time = FakeTime()
    rtnet = attached(tmp_path, role="master", cycle=CYCLE.period)
    host = Host(
        proc=rtnet.proc,
        sys=rtnet.sys,
        device=CHARACTER_DEVICE,
        tdmacfg=install_tdmacfg(rtnet),
        clocks=time.clocks,
    )
    make = NodeBackEnds(host=host, name=BackEndName.TDMACFG, wait=time.wait)
    assert make(interface="rteth0", cycle=CYCLE).apply(CHANNEL, WINDOWS) is None
    host.tdmacfg.unlink()

    back_end = make(interface="rteth0", cycle=CYCLE)

    with pytest.raises(KernelError, match="tdmacfg is not there"):
        back_end.read()
