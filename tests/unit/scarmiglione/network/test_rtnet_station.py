"""Both back ends of RTnet on a fake station whose kernel has the real one's hazards."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemons.scarmiglione.network.back_end import Channel, ChannelKind, Refusal, Role
from daemons.scarmiglione.network.hazards import Hazard
from daemons.scarmiglione.network.rtnet.ioctl import IoctlCommands
from daemons.scarmiglione.network.rtnet.proc_rtnet import RtnetFiles
from daemons.scarmiglione.network.rtnet.station import RtnetBackEnd
from daemons.scarmiglione.network.rtnet.tdmacfg import Tdmacfg
from k40s.errors import KernelError
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.scarmiglione.rtnet import FakeRtnet
from tests.fakes.scarmiglione.stations import FakeTime, attached, fake_ioctl, install_tdmacfg

CYCLE = Cycle(
    period=Nanoseconds(5 * NS_PER_MS), bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(10_000)
)
LIMIT = 10.0


@dataclass
class Scene:
    rtnet: FakeRtnet
    time: FakeTime
    back_end: RtnetBackEnd


Make = Callable[..., Scene]


@pytest.fixture(params=["tdmacfg", "ioctl"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def scene(*, role: str = "slave", limit: float = LIMIT) -> Scene:
        if role:
            rtnet = attached(tmp_path, role=role, cycle=CYCLE.period)
        else:
            rtnet = FakeRtnet(tmp_path, cycle=CYCLE.period)
        time = FakeTime(rtnet.pass_time)
        commands: Tdmacfg | IoctlCommands
        if request.param == "tdmacfg":
            commands = Tdmacfg(command=str(install_tdmacfg(rtnet)), seconds=limit)
        else:
            commands = IoctlCommands(
                ioctl=fake_ioctl(rtnet), cycle=CYCLE.period, mtu=CYCLE.mtu, last=15
            )
        return Scene(
            rtnet=rtnet,
            time=time,
            back_end=RtnetBackEnd(
                interface="rteth0",
                cycle=CYCLE,
                last=15,
                files=RtnetFiles(proc=rtnet.proc, sys=rtnet.sys, clocks=time.clocks, seconds=limit),
                commands=commands,
                wait=time.wait,
            ),
        )

    return scene


def window(offset_us: int, *, phase: int = 0, every: int = 1, payload: int = 256) -> Window:
    return Window(
        offset=Nanoseconds(offset_us * NS_PER_US),
        phase=phase,
        every=every,
        length=Nanoseconds(150 * NS_PER_US),
        payload=payload,
    )


def channel(*numbers: int) -> Channel:
    return Channel(number=numbers[0], kind=ChannelKind.CHANNEL, joined=numbers[1:])


def hazard(refusal: Refusal | None) -> str:
    assert refusal is not None
    return refusal.hazard


def numbers(scene: Scene) -> list[int]:
    return [slot.number for slot in scene.back_end.read().slots]


def test_a_slot_is_applied_read_back_and_removed(make: Make) -> None:
    scene = make()
    wanted = [window(2000, phase=1, every=4)]

    assert scene.back_end.apply(channel(2), wanted) is None

    state = scene.back_end.read()
    assert scene.back_end.holds(state, channel(2), wanted)
    assert not scene.back_end.holds(state, channel(2), [window(2000, phase=2, every=4)])
    assert not scene.back_end.holds(state, channel(3), wanted)
    assert scene.back_end.remove(channel(2)) is None
    assert numbers(scene) == [0, 1]
    assert scene.back_end.remove(channel(2)) is None
    assert scene.rtnet.state["harm"] == []


def test_the_state_of_a_station_is_read(make: Make) -> None:
    scene = make(role="backup")

    state = scene.back_end.read()

    assert (state.attached, state.role, state.state) == (True, Role.BACKUP, "stand-by")
    assert (state.cycle, state.received, state.vnic, state.vnic_mtu) == (
        CYCLE.period,
        1000,
        "vnic1",
        1496,
    )
    assert state.taken == {0, 1}
    assert state.problems == ()


def test_joint_slots_are_applied_together_and_removed_before_their_queue(make: Make) -> None:
    scene = make()
    wanted = [window(1000), window(2000), window(3000)]

    assert scene.back_end.apply(channel(5, 2, 9), wanted) is None

    slots = {slot.number: slot.joins for slot in scene.back_end.read().slots}
    assert slots == {0: None, 1: None, 5: None, 2: 5, 9: 5}
    assert hazard(scene.back_end.remove(channel(5))) == Hazard.JOINED_BY_OTHERS
    assert scene.back_end.remove(channel(5, 2, 9)) is None
    assert numbers(scene) == [0, 1]
    assert scene.rtnet.state["harm"] == []


def test_a_repeat_changes_nothing_and_waits_for_nothing(make: Make) -> None:
    scene = make()
    scene.back_end.apply(channel(2), [window(2000)])
    waited = len(scene.time.waited)

    assert scene.back_end.apply(channel(2), [window(2000)]) is None

    assert len(scene.time.waited) == waited


def test_an_offset_is_never_changed_in_place_so_slots_send_when_they_say(make: Make) -> None:
    scene = make()
    scene.back_end.apply(channel(2), [window(1000)])
    scene.back_end.apply(channel(3), [window(2000)])

    assert scene.back_end.apply(channel(2), [window(3000)]) is None

    sent = scene.rtnet.sent_at()
    assert (sent[2], sent[3]) == (3_000_000, 2_000_000)


def test_the_fake_shows_why_a_change_in_place_is_a_hazard(tmp_path: Path) -> None:
    rtnet = attached(tmp_path)
    for number, offset in ((2, 1_000_000), (3, 2_000_000), (2, 3_000_000)):
        rtnet.set_slot(number, offset=offset, phasing=0, period=1, size=256)

    assert rtnet.sent_at()[3] == 3_000_000


def test_every_hazard_of_a_window_is_refused_before_the_kernel_is_told(make: Make) -> None:
    scene = make()

    for bad, name in (
        (window(5000), Hazard.OFFSET_PAST_CYCLE),
        (window(4990), Hazard.OFFSET_PAST_CYCLE),
        (window(2000, payload=59), Hazard.PAYLOAD_BOUNDS),
        (window(150), Hazard.SLOT_OVERLAP),
    ):
        assert hazard(scene.back_end.apply(channel(2), [bad])) == name
    assert hazard(scene.back_end.apply(channel(16), [window(2000)])) == Hazard.CHANNEL_PAST_TABLE
    assert hazard(scene.back_end.apply(channel(1), [window(2000)])) == Hazard.CHANNEL_RESERVED

    assert scene.rtnet.state["harm"] == []
    assert numbers(scene) == [0, 1]


def test_removal_of_slot_0_is_refused(make: Make) -> None:
    scene = make()

    assert hazard(scene.back_end.remove(channel(0))) == Hazard.CHANNEL_RESERVED
    assert numbers(scene) == [0, 1]


def test_a_first_slot_without_a_master_is_refused(make: Make) -> None:
    scene = make(role="")
    scene.rtnet.change(sync=False)
    assert scene.rtnet.attach("slave", last=15) == 0

    assert hazard(scene.back_end.apply(channel(2), [window(2000)])) == Hazard.NO_SYNC
    assert numbers(scene) == []


def test_a_master_that_vanishes_just_then_blocks_for_no_longer_than_the_time_limit(
    make: Make,
) -> None:
    scene = make(role="", limit=1.0)
    assert scene.rtnet.attach("slave", last=15) == 0
    wait = scene.time.wait

    def vanish(seconds: float) -> None:
        wait(seconds)
        scene.rtnet.change(sync=False)

    scene.back_end._wait = vanish  # noqa: SLF001  # the moment between the look and the call

    with pytest.raises(KernelError, match="no end after"):
        scene.back_end.apply(channel(2), [window(2000)])

    assert numbers(scene) == []


def test_a_state_that_stays_active_without_a_master_takes_no_slots(make: Make) -> None:
    scene = make()
    scene.rtnet.change(sync=False)

    assert scene.back_end.read().state == "active"
    assert hazard(scene.back_end.apply(channel(2), [window(2000)])) == Hazard.NO_SYNC


def test_a_master_applies_slots_of_its_own_without_a_sync_from_others(make: Make) -> None:
    scene = make(role="master")

    assert scene.back_end.apply(channel(2), [window(2000)]) is None
    assert numbers(scene) == [0, 1, 2]


def test_a_step_of_the_clock_while_sync_is_watched_refuses_slots(make: Make) -> None:
    scene = make()
    scene.time.step = 5 * NS_PER_S

    assert hazard(scene.back_end.apply(channel(2), [window(2000)])) == Hazard.CLOCK_STEP


def test_sync_is_watched_for_three_cycles_at_least(make: Make) -> None:
    scene = make()
    scene.back_end._cycle = replace(CYCLE, period=Nanoseconds(NS_PER_S))  # noqa: SLF001  # slow
    scene.rtnet.change(cycle=NS_PER_S)

    assert scene.back_end.apply(channel(2), [window(2000)]) is None
    assert scene.time.waited == [3.0]


def test_a_station_that_is_not_attached_takes_no_slots_and_has_none(make: Make) -> None:
    scene = make(role="")

    state = scene.back_end.read()

    assert not state.attached
    assert state.problems == ("rteth0 is down, or not attached to a TDMA network",)
    assert hazard(scene.back_end.apply(channel(2), [window(2000)])) == Hazard.NOT_ATTACHED
    assert scene.back_end.remove(channel(2)) is None


def test_the_mtu_of_the_vnic_that_a_slot_shrank_is_restored(make: Make) -> None:
    scene = make()

    assert scene.back_end.apply(channel(2), [window(2000, payload=256)]) is None

    assert scene.back_end.read().vnic_mtu == 1496
    assert scene.back_end.read().problems == ()
    assert scene.rtnet.state["slots"]["1"]["offset"] == 400_000


def test_an_mtu_that_stays_shrunk_is_reported(make: Make) -> None:
    scene = make()
    scene.rtnet.change(vnic_mtu=252, vnic_max=252)

    assert scene.back_end.read().problems == ("the MTU of vnic1 is 252, and slot 1 takes 1500",)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_joint_set_that_fails_in_part_is_rolled_back(make: Make, failing: int) -> None:
    scene = make()
    scene.rtnet.change(fail_next=[0] * (failing - 1) + [errno.ENOMEM])

    with pytest.raises(KernelError, match="Cannot allocate memory"):
        scene.back_end.apply(channel(2, 3, 4), [window(1000), window(2000), window(3000)])

    assert numbers(scene) == [0, 1]
    assert scene.rtnet.state["harm"] == []


def test_what_a_channel_had_comes_back_when_its_change_fails(make: Make) -> None:
    scene = make()
    former = [window(1000), window(2000)]
    scene.back_end.apply(channel(2, 3), former)
    scene.rtnet.change(fail_next=[0, errno.ENOMEM])

    with pytest.raises(KernelError, match="Cannot allocate memory"):
        scene.back_end.apply(channel(2, 3), [window(1500), window(2500)])

    assert scene.back_end.holds(scene.back_end.read(), channel(2, 3), former)


def test_an_undo_that_fails_says_what_may_be_left(make: Make) -> None:
    scene = make()
    scene.back_end.apply(channel(2), [window(1000)])
    scene.rtnet.change(fail_next=[errno.ENOMEM, errno.ENOMEM])

    with pytest.raises(
        KernelError, match=r"undoing it failed too, and slots of \(2,\) may be left"
    ):
        scene.back_end.apply(channel(2), [window(1500)])


def test_a_lock_that_is_held_does_not_hold_up_a_read(make: Make) -> None:
    scene = make(limit=0.5)
    scene.rtnet.lock()

    with pytest.raises(KernelError, match=r"no end after 0\.5 s"):
        scene.back_end.read()
