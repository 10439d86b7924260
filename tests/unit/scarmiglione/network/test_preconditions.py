"""Every hazard of a running RTnet network is a precondition; a test is named after each.

Those that no network survives are refused when a window or an order is constructed.
"""

from dataclasses import replace

import pytest

from daemons.scarmiglione.network.back_end import (
    AppliedSlot,
    Channel,
    ChannelKind,
    Limits,
    Refusal,
    Role,
    StationState,
)
from daemons.scarmiglione.network.hazards import Hazard
from daemons.scarmiglione.network.preconditions import (
    airtime,
    check_channel,
    check_joined_by_others,
    check_numbers,
    check_overlap,
    check_pair,
    check_station,
    check_windows,
    clock_step,
    sends_sync,
    sync_arrives,
)
from daemons.scarmiglione.network.rtnet.orders import SlotOrder, orders
from k40s.reasons import Reason
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds

CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS), bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(10_000)
)
LIMITS = Limits(kind=ChannelKind.CHANNEL, first=2, last=15, one_per_window=True, primary_below=15)


def window(
    offset_us: int = 300, *, phase: int = 0, every: int = 1, payload: int = 256, length_us: int = 40
) -> Window:
    return Window(
        offset=Nanoseconds(offset_us * NS_PER_US),
        phase=phase,
        every=every,
        length=Nanoseconds(length_us * NS_PER_US),
        payload=payload,
    )


def channel(*numbers: int) -> Channel:
    return Channel(number=numbers[0], kind=ChannelKind.CHANNEL, joined=numbers[1:])


def held(number: int, offset_us: int, *, joins: int | None = None, every: int = 1) -> AppliedSlot:
    return AppliedSlot(
        number=number,
        offset=Nanoseconds(offset_us * NS_PER_US),
        phase=0,
        every=every,
        payload=256,
        joins=joins,
    )


def look(
    at_ms: float = 0,
    *,
    received: int | None = 100,
    role: Role = Role.STATION,
    state: str = "active",
) -> StationState:
    at = Nanoseconds(round(at_ms * NS_PER_MS))
    return StationState(
        attached=True, read_at=at, wall_at=at, role=role, state=state, received=received
    )


def hazard(refusal: Refusal | None) -> str:
    assert refusal is not None
    return refusal.hazard


def test_a_window_inside_the_cycle_is_accepted() -> None:
    assert check_windows([window(), window(phase=3, every=4)], CYCLE) is None


def order(number: int = 2, **change: int) -> SlotOrder:
    fields = {"offset": 1000, "phase": 0, "every": 1, "payload": 60} | change
    return SlotOrder(number=number, **fields)  # type: ignore[arg-type]  # of the right types


def test_a_period_of_zero_freezes_the_node_and_no_window_has_it() -> None:
    with pytest.raises(ValueError, match=r"^every: found 0, "):
        window(every=0)


@pytest.mark.parametrize("period", [0, -1, 2**32])
def test_a_period_that_the_kernel_takes_for_zero_is_not_ordered(period: int) -> None:
    with pytest.raises(ValueError, match="no slot that a kernel survives"):
        order(every=period)


def test_the_longest_period_that_the_kernel_can_count_is_ordered() -> None:
    assert order(every=2**32 - 1, phase=2**32 - 2).phase == 2**32 - 2


@pytest.mark.parametrize("phase", [4, 5, -1])
def test_phasing_at_or_past_the_period_never_sends_and_no_window_has_it(phase: int) -> None:
    with pytest.raises(ValueError, match=rf"^phase: found {phase}, "):
        window(phase=phase, every=4)


@pytest.mark.parametrize("phase", [4, 5, -1])
def test_phasing_at_or_past_the_period_is_not_ordered(phase: int) -> None:
    with pytest.raises(ValueError, match="no slot that ever sends"):
        order(phase=phase, every=4)


def test_an_offset_before_the_cycle_is_of_no_window_and_not_ordered() -> None:
    with pytest.raises(ValueError, match=r"^offset: found -1000ns, "):
        window(-1)
    with pytest.raises(ValueError, match="no slot that a kernel survives"):
        order(offset=-1)


@pytest.mark.parametrize("offset", [1000, 1300, 990])
def test_an_offset_past_the_cycle_delays_every_sync_and_is_refused(offset: int) -> None:
    assert hazard(check_windows([window(offset)], CYCLE)) == Hazard.OFFSET_PAST_CYCLE


def test_a_packet_that_would_end_after_the_cycle_is_refused_whatever_its_length_says() -> None:
    late = window(999, payload=1500, length_us=1)

    assert hazard(check_windows([late], CYCLE)) == Hazard.OFFSET_PAST_CYCLE


@pytest.mark.parametrize("payload", [59, 1, 1501])
def test_a_payload_out_of_bounds_is_refused(payload: int) -> None:
    assert hazard(check_windows([window(payload=payload)], CYCLE)) == Hazard.PAYLOAD_BOUNDS


@pytest.mark.parametrize("payload", [0, -1])
def test_a_payload_of_nothing_is_of_no_window(payload: int) -> None:
    with pytest.raises(ValueError, match=r"^length, payload: "):
        window(payload=payload)


def test_an_offset_finer_than_a_microsecond_reads_back_as_another_and_no_window_has_it() -> None:
    with pytest.raises(ValueError, match=r"^offset: found 300500ns, "):
        replace(window(), offset=Nanoseconds(300_500))


def test_a_channel_past_the_table_oopses_the_kernel_and_is_refused() -> None:
    found = check_channel(channel(16), [window()], LIMITS)

    assert hazard(found) == Hazard.CHANNEL_PAST_TABLE
    assert found is not None
    assert found.reason is Reason.NETWORK_NO_CHANNEL


@pytest.mark.parametrize("number", [0, 1])
def test_slots_0_and_1_are_neither_given_nor_removed(number: int) -> None:
    assert hazard(check_channel(channel(number), [window()], LIMITS)) == Hazard.CHANNEL_RESERVED
    assert hazard(next(check_numbers(channel(number), LIMITS))) == Hazard.CHANNEL_RESERVED


def test_the_last_id_of_the_table_cannot_be_joined() -> None:
    small = replace(LIMITS, last=3, primary_below=3)

    assert hazard(check_channel(channel(3, 2), [window(), window(500)], small)) == (
        Hazard.JOINT_PRIMARY
    )
    assert check_channel(channel(2, 3), [window(), window(500)], small) is None


def test_joint_slots_of_different_sizes_are_refused() -> None:
    windows = [window(), window(500, payload=100)]

    assert hazard(check_channel(channel(2, 3), windows, LIMITS)) == Hazard.JOINT_SIZES


@pytest.mark.parametrize(
    ("given", "windows"),
    [
        (channel(2), []),
        (channel(2), [window(), window(500)]),
        (channel(2, 3), [window()]),
        (Channel(number=2, kind=ChannelKind.PRIORITY), [window()]),
    ],
)
def test_a_channel_that_does_not_fit_its_windows_is_refused(
    given: Channel, windows: list[Window]
) -> None:
    assert hazard(check_channel(given, windows, LIMITS)) == Hazard.CHANNEL_MISFIT


def test_a_priority_has_any_number_of_windows() -> None:
    limits = Limits(kind=ChannelKind.PRIORITY, first=1, last=3, one_per_window=False)
    given = Channel(number=1, kind=ChannelKind.PRIORITY)

    assert check_channel(given, [window(), window(500, payload=100)], limits) is None


def test_windows_that_meet_one_another_or_a_slot_of_the_station_are_refused() -> None:
    assert hazard(check_overlap([window(300), window(330)], [], CYCLE)) == Hazard.SLOT_OVERLAP
    assert hazard(check_overlap([window(300)], [held(0, 280)], CYCLE)) == Hazard.SLOT_OVERLAP
    assert check_overlap([window(300)], [held(0, 270), held(1, 340)], CYCLE) is None


def test_windows_in_cycles_that_never_coincide_do_not_meet() -> None:
    apart = [window(300, phase=1, every=4), window(300, phase=2, every=6)]
    meeting = [window(300, phase=1, every=4), window(300, phase=3, every=6)]

    assert check_overlap(apart, [], CYCLE) is None
    assert hazard(check_overlap(meeting, [], CYCLE)) == Hazard.SLOT_OVERLAP


def test_a_station_that_is_not_attached_takes_no_slots() -> None:
    found = check_station(replace(look(), attached=False), CYCLE)

    assert hazard(found) == Hazard.NOT_ATTACHED


def test_a_master_with_another_cycle_than_the_network_takes_no_slots() -> None:
    state = replace(look(role=Role.MASTER), cycle=Nanoseconds(2 * NS_PER_MS))

    assert hazard(check_station(state, CYCLE)) == Hazard.CYCLE_DIFFERS
    assert check_station(replace(state, cycle=CYCLE.period), CYCLE) is None


def test_a_first_slot_without_a_master_would_block_for_ever_and_is_refused() -> None:
    assert hazard(check_pair(look(state="init"), look(10, state="init"), CYCLE)) == Hazard.NO_SYNC


def test_a_state_that_stays_active_after_the_master_is_gone_is_not_believed() -> None:
    assert sync_arrives(look(), look(10), CYCLE) is False
    assert hazard(check_pair(look(), look(10), CYCLE)) == Hazard.NO_SYNC


def test_sync_arrives_when_at_least_half_of_what_was_due_is_counted() -> None:
    assert sync_arrives(look(), look(10, received=105), CYCLE) is True
    assert sync_arrives(look(), look(10, received=104), CYCLE) is False
    assert check_pair(look(), look(10, received=110), CYCLE) is None


def test_less_than_two_cycles_say_nothing() -> None:
    assert sync_arrives(look(), look(1.9, received=200), CYCLE) is None
    assert hazard(check_pair(look(), look(1.9, received=200), CYCLE)) == Hazard.NO_SYNC


@pytest.mark.parametrize("pair", [(None, 5), (5, None)])
def test_a_counter_that_cannot_be_read_counts_as_no_sync(
    pair: tuple[int | None, int | None],
) -> None:
    assert sync_arrives(look(received=pair[0]), look(10, received=pair[1]), CYCLE) is False


def test_a_master_and_a_backup_that_took_over_wait_for_nobodys_sync() -> None:
    assert sends_sync(look(role=Role.MASTER))
    assert sends_sync(look(role=Role.BACKUP, state="active"))
    assert not sends_sync(look(role=Role.BACKUP, state="stand-by"))
    assert check_pair(look(role=Role.MASTER), look(10, role=Role.MASTER), CYCLE) is None


@pytest.mark.parametrize("step", [5 * NS_PER_S, -3 * NS_PER_S])
def test_a_step_of_the_clock_is_detected_and_refuses_slots(step: int) -> None:
    after = look(10, received=110)
    after = replace(after, wall_at=Nanoseconds(after.wall_at + step))

    assert clock_step(look(), after) == step
    assert hazard(check_pair(look(), after, CYCLE)) == Hazard.CLOCK_STEP


def test_a_clock_that_is_slewed_is_not_stepped() -> None:
    after = look(10_000)

    assert clock_step(look(), replace(after, wall_at=Nanoseconds(after.wall_at * 108 // 100))) == 0


def test_a_queue_that_others_joined_is_not_removed() -> None:
    slots = [held(2, 300), held(3, 500, joins=2)]

    assert hazard(check_joined_by_others(channel(2), slots)) == Hazard.JOINED_BY_OTHERS
    assert check_joined_by_others(channel(2, 3), slots) is None


def test_a_channel_becomes_one_slot_for_each_window_the_primary_first() -> None:
    found = orders(channel(4, 7), [window(300), window(500, phase=1, every=2)])

    assert [(one.number, one.joins, one.phase, one.every) for one in found] == [
        (4, None, 0, 1),
        (7, 4, 1, 2),
    ]
    assert found[0].is_like(held(4, 300))
    assert not found[0].is_like(held(4, 301))
    assert not found[0].is_like(held(5, 300))


@pytest.mark.parametrize(
    "bad",
    [
        {"every": 0},
        {"phase": 1},
        {"phase": -1},
        {"offset": -1},
        {"number": -1},
        {"payload": 59},
        {"joins": 2},
        {"joins": -1},
    ],
)
def test_no_order_can_be_constructed_that_harms_a_kernel(bad: dict[str, int]) -> None:
    order()
    with pytest.raises(ValueError, match="slot"):
        order(**bad)


@pytest.mark.parametrize(
    ("payload", "time"), [(46, 6_720), (60, 7_840), (256, 23_520), (1500, 123_040)]
)
def test_airtime_counts_everything_that_a_packet_takes_of_the_wire(payload: int, time: int) -> None:
    assert airtime(payload, 100_000_000) == time


def test_the_lowest_free_numbers_are_found_and_a_primary_that_can_be_joined() -> None:
    assert LIMITS.find_channel(frozenset({0, 1, 2, 4}), 2) == channel(3, 5)
    assert LIMITS.find_channel(frozenset(range(15)), 1) == channel(15)
    assert LIMITS.find_channel(frozenset(range(15)), 2) is None
    assert replace(LIMITS, last=3, primary_below=2).find_channel(frozenset(), 2) is None
    assert LIMITS.find_channel(frozenset(), 0) is None
    assert LIMITS.free(frozenset({0, 1, 2, 15, 20})) == 12
    assert replace(LIMITS, last=0).channels == 0


def test_a_channel_has_no_number_twice_and_none_below_zero() -> None:
    for numbers in ((2, 2), (-1,)):
        with pytest.raises(ValueError, match="numbers"):
            channel(*numbers)
