from collections.abc import Callable
from dataclasses import replace

import pytest

from daemons.scarmiglione.network.back_end import Channel, ChannelKind, Refusal, Role
from daemons.scarmiglione.network.hazards import Hazard
from daemons.scarmiglione.network.taprio.changeover import schedule_of
from daemons.scarmiglione.network.taprio.messages import Mapping, Qdisc
from daemons.scarmiglione.network.taprio.station import HANDLE, TaprioBackEnd
from k40s.errors import KernelError
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.scarmiglione.stations import FakeGateDevice, FakeTime

CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS), bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(10_000)
)


class Scene:
    def __init__(self, **device: object) -> None:
        self.time = FakeTime()
        self.device = FakeGateDevice(self.time, **device)  # type: ignore[arg-type]  # its fields
        facts = self.device.facts()
        assert facts is not None
        self.back_end = TaprioBackEnd(
            interface="eth1",
            cycle=CYCLE,
            device=self.device,
            facts=facts,
            clocks=self.time.clocks,
            wait=self.time.wait,
        )

    def entries(self) -> list[tuple[int, int]]:
        root = self.device.root()
        assert root is not None
        assert root.taprio is not None
        assert root.taprio.running is not None
        return [
            (entry.gates, entry.interval // NS_PER_US)
            for entry in schedule_of(root.taprio.running).entries
        ]


def window(begin: int, end: int, *, phase: int = 0, every: int = 1, payload: int = 256) -> Window:
    return Window(
        offset=Nanoseconds(begin * NS_PER_US),
        phase=phase,
        every=every,
        length=Nanoseconds((end - begin) * NS_PER_US),
        payload=payload,
    )


def channel(number: int) -> Channel:
    return Channel(number=number, kind=ChannelKind.PRIORITY)


def hazard(refusal: Refusal | None) -> str:
    assert refusal is not None
    return refusal.hazard


def test_an_untouched_device_has_no_slots_and_takes_them() -> None:
    scene = Scene()

    state = scene.back_end.read()

    assert (state.attached, state.role, state.state, state.slots) == (
        True,
        Role.STATION,
        "default",
        (),
    )
    assert (state.mtu, state.received) == (1500, 7)


@pytest.mark.parametrize(("queues", "last"), [(2, 1), (4, 3), (7, 6), (16, 6)])
def test_each_queue_but_the_first_is_a_priority_up_to_6(queues: int, last: int) -> None:
    limits = Scene(queues=queues).back_end.limits

    assert (limits.kind, limits.first, limits.last, limits.enforced) == (
        ChannelKind.PRIORITY,
        1,
        last,
        True,
    )


def test_a_window_opens_its_gate_alone_and_the_rest_is_for_all_others() -> None:
    scene = Scene()

    assert scene.back_end.apply(channel(1), [window(100, 200)]) is None

    assert scene.entries() == [(0b1101, 100), (0b0010, 100), (0b1101, 800)]
    assert scene.back_end.read().state == "active"


def test_windows_of_several_periods_make_a_schedule_of_their_common_one() -> None:
    scene = Scene()

    scene.back_end.apply(channel(1), [window(100, 200, phase=1, every=2)])
    assert scene.back_end.apply(channel(2), [window(300, 400)]) is None

    assert scene.entries() == [
        (0b1001, 300),
        (0b0100, 100),
        (0b1001, 700),
        (0b0010, 100),
        (0b1001, 100),
        (0b0100, 100),
        (0b1001, 600),
    ]


def test_a_schedule_begins_with_a_cycle_whose_number_is_a_multiple_of_its_length() -> None:
    scene = Scene()
    before = scene.time.clocks.tai()

    scene.back_end.apply(channel(1), [window(100, 200, phase=2, every=7)])

    (table,) = scene.device.history
    assert table.base % (7 * CYCLE.period) == 0
    assert table.base > before


def test_apply_returns_when_the_kernel_runs_the_schedule() -> None:
    scene = Scene()

    scene.back_end.apply(channel(1), [window(100, 200)])

    root = scene.device.root_qdisc
    assert root.taprio is not None
    assert root.taprio.pending is None


def test_a_repeat_changes_nothing() -> None:
    scene = Scene()
    wanted = [window(100, 200), window(500, 600, phase=1, every=2)]
    scene.back_end.apply(channel(1), wanted)

    assert scene.back_end.apply(channel(1), wanted) is None

    assert len(scene.device.history) == 1
    assert scene.back_end.holds(scene.back_end.read(), channel(1), wanted)
    assert not scene.back_end.holds(scene.back_end.read(), channel(1), wanted[:1])
    assert not scene.back_end.holds(scene.back_end.read(), channel(2), wanted)


def test_a_removed_class_is_open_with_the_rest_and_others_keep_their_windows() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.back_end.apply(channel(2), [window(300, 400)])

    assert scene.back_end.remove(channel(1)) is None

    assert scene.entries() == [(0b1011, 300), (0b0100, 100), (0b1011, 600)]
    assert scene.back_end.remove(channel(1)) is None
    assert scene.back_end.remove(channel(2)) is None
    assert scene.entries() == [(0b1111, 1000)]


def test_nothing_is_installed_to_remove_what_is_not_there() -> None:
    scene = Scene()

    assert scene.back_end.remove(channel(1)) is None
    assert scene.device.history == []


def test_a_gap_too_short_for_a_gate_lengthens_the_window_before_it() -> None:
    scene = Scene(bit_rate=100_000_000)
    first, second = [window(100, 200)], [window(203, 300)]

    scene.back_end.apply(channel(1), first)
    scene.back_end.apply(channel(2), second)

    state = scene.back_end.read()
    assert scene.entries()[1:3] == [(0b0010, 103), (0b0100, 97)]
    assert scene.back_end.holds(state, channel(1), first)
    assert scene.back_end.holds(state, channel(2), second)


def test_a_lengthened_window_gives_way_to_one_that_was_promised_the_gap() -> None:
    scene = Scene(bit_rate=100_000_000)
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.back_end.apply(channel(2), [window(203, 300)])
    scene.back_end.remove(channel(2))

    assert scene.back_end.apply(channel(3), [window(200, 240)]) is None

    assert scene.back_end.holds(scene.back_end.read(), channel(1), [window(100, 200)])


@pytest.mark.parametrize(
    ("windows", "name"),
    [
        ([window(950, 1050)], Hazard.OFFSET_PAST_CYCLE),
        ([window(100, 200), window(150, 250)], Hazard.SLOT_OVERLAP),
        ([window(500, 600)], Hazard.SLOT_OVERLAP),
        ([window(100, 200, phase=n, every=1000) for n in range(1)], Hazard.TOO_MANY_ENTRIES),
        ([window(2, 100)], Hazard.WINDOW_TOO_SHORT),
        ([window(100, 102)], Hazard.WINDOW_TOO_SHORT),
    ],
)
def test_what_cannot_be_kept_is_refused_and_changes_nothing(
    windows: list[Window], name: Hazard
) -> None:
    scene = Scene(bit_rate=100_000_000)
    scene.back_end.apply(channel(3), [window(550, 650)])

    assert hazard(scene.back_end.apply(channel(1), windows)) == name
    assert len(scene.device.history) == 1


def test_windows_that_leave_nothing_for_ordinary_traffic_are_refused() -> None:
    scene = Scene()

    assert hazard(scene.back_end.apply(channel(1), [window(0, 1000)])) == Hazard.NO_BEST_EFFORT


@pytest.mark.parametrize("number", [0, 4])
def test_class_0_and_classes_without_a_queue_are_not_given(number: int) -> None:
    scene = Scene()

    assert scene.back_end.apply(channel(number), [window(100, 200)]) is not None
    assert scene.back_end.remove(channel(number)) is not None


def test_a_device_with_one_queue_is_refused_with_the_reason() -> None:
    scene = Scene(queues=1)

    found = scene.back_end.apply(channel(1), [window(100, 200)])

    assert found is not None
    assert found.hazard == Hazard.CHANNEL_PAST_TABLE
    assert scene.back_end.read().problems == ("eth1 has 1 queues; taprio needs several",)
    assert not scene.back_end.read().attached


def test_a_device_whose_queues_changed_is_refused() -> None:
    scene = Scene()
    scene.device.queues = 8

    assert hazard(scene.back_end.apply(channel(1), [window(100, 200)])) == Hazard.QUEUES


def test_a_device_that_is_down_is_a_state_and_a_refusal() -> None:
    scene = Scene()
    scene.device.up = False

    assert not scene.back_end.read().attached
    assert hazard(scene.back_end.apply(channel(1), [window(100, 200)])) == Hazard.NOT_ATTACHED


@pytest.mark.parametrize(
    "change",
    [
        lambda _root: Qdisc(kind="htb", handle=0x10000),
        lambda root: replace(root, handle=0x1000000),
        lambda root: replace(root, taprio=replace(root.taprio, clock=0)),
        lambda root: replace(root, taprio=replace(root.taprio, flags=1)),
        lambda root: replace(
            root, taprio=replace(root.taprio, mapping=Mapping(classes=(0,) * 16, queues=((4, 0),)))
        ),
    ],
)
def test_a_queueing_discipline_of_someone_else_is_never_replaced(
    change: Callable[[Qdisc], Qdisc],
) -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.root_qdisc = change(scene.device.root_qdisc)

    assert hazard(scene.back_end.apply(channel(2), [window(300, 400)])) == Hazard.FOREIGN_QDISC
    assert hazard(scene.back_end.remove(channel(1))) == Hazard.FOREIGN_QDISC
    assert not scene.back_end.read().attached


def test_a_schedule_of_another_cycle_is_reported_and_replaced_by_the_next() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    other = TaprioBackEnd(
        interface="eth1",
        cycle=replace(CYCLE, period=Nanoseconds(3 * NS_PER_MS)),
        device=scene.device,
        facts=scene.device.facts() or pytest.fail("it is up"),
        clocks=scene.time.clocks,
        wait=scene.time.wait,
    )

    state = other.read()
    assert (state.slots, state.problems) == (
        (),
        ("the gate schedule of 1000000 ns is not one of cycles of 3000000 ns",),
    )
    assert other.apply(channel(2), [window(300, 400)]) is None
    assert scene.entries() == [(0b1011, 300), (0b0100, 100), (0b1011, 2600)]
    assert other.read().problems == ()


def test_a_refusal_of_the_kernel_leaves_the_former_schedule() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.refusals = ["errno 12: no memory"]

    with pytest.raises(KernelError, match="no memory"):
        scene.back_end.apply(channel(2), [window(300, 400)])

    assert [slot.number for slot in scene.back_end.read().slots] == [1]


def test_a_schedule_that_never_begins_is_an_error_and_the_former_one_runs_on() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.never_begins = 1

    with pytest.raises(KernelError, match="was set, and"):
        scene.back_end.apply(channel(2), [window(300, 400)])

    assert scene.entries() == [(0b1101, 100), (0b0010, 100), (0b1101, 800)]


def test_a_schedule_that_is_still_pending_when_it_should_run_is_replaced_by_the_former() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.late = 60 * 60 * NS_PER_S

    with pytest.raises(KernelError, match="was set, and"):
        scene.back_end.apply(channel(2), [window(300, 400)])

    assert [slot.number for slot in scene.back_end.read().slots] == [1]


def test_an_undo_that_fails_says_so() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.late = 60 * 60 * NS_PER_S
    scene.device.refusals = ["", "errno 12: none at all"]

    with pytest.raises(KernelError, match="the former schedule was not restored"):
        scene.back_end.apply(channel(2), [window(300, 400)])


def test_a_new_process_waits_for_a_schedule_that_is_pending() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.back_end.apply(channel(2), [window(300, 400)])
    root = scene.device.root_qdisc
    assert root.taprio is not None
    first, second = scene.device.history
    later = replace(second, base=second.base + 3_000 * CYCLE.period)
    scene.device.root_qdisc = replace(
        root, taprio=replace(root.taprio, running=first, pending=later)
    )

    assert scene.back_end.apply(channel(2), [window(300, 400)]) is None

    assert scene.entries()[3] == (0b0100, 100)


def test_a_schedule_is_changed_in_a_rest_of_both_and_classes_are_held_around_it() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.back_end.apply(channel(2), [window(300, 400)])

    (changeover,) = scene.device.changeovers
    assert changeover.hold_at < changeover.begin < changeover.release_at
    # the longest rest is from 400 us to the next cycle's 100 us; two thirds of it are over
    assert changeover.begin % CYCLE.period == 866_666


@pytest.mark.parametrize("late", [0, 300 * NS_PER_MS])
def test_classes_are_held_until_the_kernel_has_begun_the_schedule(late: int) -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.late = late

    assert scene.back_end.apply(channel(2), [window(300, 400)]) is None

    (changeover,) = scene.device.changeovers
    (let_go,) = scene.device.let_go
    settle = changeover.release_at - changeover.begin
    assert scene.device.held == [changeover.hold_at]
    assert let_go - (changeover.begin + late) >= settle
    assert let_go - (changeover.begin + late) <= settle + 2 * NS_PER_MS


def test_a_schedule_that_stays_pending_keeps_classes_held_for_two_seconds_only() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.late = 60 * 60 * NS_PER_S

    with pytest.raises(KernelError, match="was set, and"):
        scene.back_end.apply(channel(2), [window(300, 400)])

    changeover, let_go = scene.device.changeovers[0], scene.device.let_go[0]
    assert 2 * NS_PER_S <= let_go - changeover.release_at <= 2 * NS_PER_S + 10 * NS_PER_MS


def test_an_installation_that_was_cut_short_is_removed_and_made_anew() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.complete = False
    again = TaprioBackEnd(
        interface="eth1",
        cycle=CYCLE,
        device=scene.device,
        facts=scene.device.facts() or pytest.fail("it is up"),
        clocks=scene.time.clocks,
        wait=scene.time.wait,
    )

    state = again.read()

    assert (state.state, state.slots) == ("default", ())
    assert again.apply(channel(1), [window(100, 200)]) is None
    assert again.holds(again.read(), channel(1), [window(100, 200)])


def test_classes_that_a_killed_process_left_held_are_released_at_the_first_look() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.device.released = 0
    again = TaprioBackEnd(
        interface="eth1",
        cycle=CYCLE,
        device=scene.device,
        facts=scene.device.facts() or pytest.fail("it is up"),
        clocks=scene.time.clocks,
        wait=scene.time.wait,
    )

    again.read()
    again.read()

    assert scene.device.released == 1


def test_a_schedule_that_a_lost_link_stopped_holds_nothing_and_is_installed_anew() -> None:
    scene = Scene()
    scene.back_end.apply(channel(1), [window(100, 200)])
    scene.back_end.apply(channel(2), [window(300, 400)])
    scene.device.carrier_changes += 2

    state = scene.back_end.read()
    assert (state.attached, state.slots) == (True, ())
    assert state.problems == (
        "eth1 lost its link: its gate schedule stands still until it is set again",
    )
    assert scene.back_end.apply(channel(1), [window(100, 200)]) is None

    state = scene.back_end.read()
    assert state.problems == ()
    assert scene.back_end.holds(state, channel(1), [window(100, 200)])
    assert scene.back_end.holds(state, channel(2), [window(300, 400)])


def test_the_handle_is_one_that_no_default_has() -> None:
    assert HANDLE & 0xFFFF == 0
    assert HANDLE
