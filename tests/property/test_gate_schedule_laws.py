"""Laws of gate schedules: whoever owns a class is alone in its windows, and reads them back.

What holds at every nanosecond is checked at each at which a gate or a window may change: between
two of those nothing does.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from daemons.scarmiglione.network.back_end import Refusal
from daemons.scarmiglione.network.hazards import Hazard
from daemons.scarmiglione.network.taprio.changeover import (
    find_changeover,
    schedule_of,
    timetable,
)
from daemons.scarmiglione.network.taprio.gate_schedule import (
    Bounds,
    Entry,
    GateSchedule,
    is_same,
    plan_schedule,
    read_schedule,
)
from k40s.tdma.model import OFFSET_STEP, Window
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

CYCLE = Nanoseconds(NS_PER_MS)
BOUNDS = Bounds(classes=4, shortest=Nanoseconds(5 * NS_PER_US), entries=64)
Table = Mapping[int, Sequence[Window]]


lengths = st.integers(3 * NS_PER_US, 300 * NS_PER_US) | st.integers(3, 300).map(
    lambda length: length * NS_PER_US
)
"""Whole microseconds too, so that windows touch."""


@st.composite
def windows(draw: st.DrawFn) -> Window:
    length = draw(lengths)
    step = draw(st.integers(0, (CYCLE - length) // OFFSET_STEP))
    return draw(windows_at(step * OFFSET_STEP, length))


@st.composite
def windows_at(draw: st.DrawFn, offset: int, length: int) -> Window:
    every = draw(st.sampled_from((1, 1, 2, 3, 4)))
    return Window(
        offset=Nanoseconds(offset),
        phase=draw(st.integers(0, every - 1)),
        every=every,
        length=Nanoseconds(length),
        payload=60,
    )


@st.composite
def roomy_tables(draw: st.DrawFn) -> dict[int, list[Window]]:
    """Windows one after the other, often with a short gap: most of these fit."""
    table: dict[int, list[Window]] = {}
    step = draw(st.integers(5, 200))
    for number in draw(st.lists(st.integers(1, 3), max_size=5)):
        length = draw(st.integers(5 * NS_PER_US, 80 * NS_PER_US))
        table.setdefault(number, []).append(draw(windows_at(step * OFFSET_STEP, length)))
        step += -(-length // OFFSET_STEP) + draw(st.integers(0, 6) | st.integers(0, 60))
    return table


tables = roomy_tables() | st.dictionaries(
    st.integers(1, 3), st.lists(windows(), min_size=1, max_size=3), max_size=3
)


def gates_at(schedule: GateSchedule, time: int) -> int:
    time %= schedule.period
    for entry in schedule.entries:
        if time < entry.interval:
            return entry.gates
        time -= entry.interval
    raise AssertionError


def owners_at(table: Table, time: int) -> list[int]:
    """By the definition of a window, sharing no code with the schedule."""
    cycle, offset = divmod(time, CYCLE)
    return [
        number
        for number, held in table.items()
        for one in held
        if cycle % one.every == one.phase and one.offset <= offset < one.offset + one.length
    ]


def spans(until: int, *of: GateSchedule | Table) -> Iterator[tuple[int, int]]:
    """From 0 to ``until``: the longest spans in which no gate and no window of these changes."""
    times = {0, until}
    for one in of:
        if isinstance(one, GateSchedule):
            ends = accumulate(entry.interval for entry in one.entries)
            times.update(
                start + end for end in ends for start in range(-one.period, until, one.period)
            )
        else:
            held = [window for windows_ in one.values() for window in windows_]
            times.update(
                start + end
                for start in range(0, until, CYCLE)
                for window in held
                for end in (window.offset, window.offset + window.length)
            )
    return pairwise(sorted(time for time in times if 0 <= time <= until))


@given(tables)
def test_a_gate_is_open_in_its_owners_windows_and_then_it_is_alone(table: Table) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if isinstance(schedule, Refusal):
        return

    for time, _ in spans(schedule.period, schedule, table):
        owners = owners_at(table, time)
        assert len(owners) <= 1
        if owners:
            assert gates_at(schedule, time) == 1 << owners[0]


@given(tables)
def test_outside_of_windows_all_others_are_open_but_for_gaps_too_short_for_a_gate(
    table: Table,
) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if isinstance(schedule, Refusal):
        return
    rest = 0b1111 & ~sum(1 << number for number in table)

    filled = 0
    for time, end in spans(schedule.period, schedule, table):
        kept = gates_at(schedule, time) == rest or owners_at(table, time)
        filled = 0 if kept else filled + end - time
        assert filled < BOUNDS.shortest


@given(tables)
def test_a_schedule_is_one_that_the_kernel_takes(table: Table) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if isinstance(schedule, Refusal):
        return

    assert len(schedule.entries) <= BOUNDS.entries
    assert all(entry.interval >= BOUNDS.shortest for entry in schedule.entries)
    assert all(one.gates != other.gates for one, other in pairwise(schedule.entries))
    assert schedule.period % CYCLE == 0


@given(tables)
def test_what_is_planned_is_read_back_and_planned_again_alike(table: Table) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if isinstance(schedule, Refusal):
        return

    slots = read_schedule(schedule, CYCLE)

    for number in range(1, 4):
        shown = [slot for slot in slots if slot.number == number]
        assert is_same(shown, table.get(number, ()), cycle=CYCLE, shortest=BOUNDS.shortest)
    again = plan_schedule(
        {n: [slot for slot in slots if slot.number == n] for n in table}, cycle=CYCLE, bounds=BOUNDS
    )
    assert isinstance(again, GateSchedule)
    for time, _ in spans(schedule.period, schedule, again):
        assert gates_at(again, time) == gates_at(schedule, time)


@given(tables, windows())
def test_another_table_is_never_taken_for_the_same(table: Table, extra: Window) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if isinstance(schedule, Refusal):
        return
    shown = [slot for slot in read_schedule(schedule, CYCLE) if slot.number == 1]
    changed = [*table.get(1, ()), extra]
    before, after = {1: table.get(1, ())}, {1: changed}
    missed = sum(
        end - time
        for time, end in spans(12 * CYCLE, before, after)
        if bool(owners_at(after, time)) != bool(owners_at(before, time))
    )

    if missed > 12 * BOUNDS.shortest:
        assert not is_same(shown, changed, cycle=CYCLE, shortest=BOUNDS.shortest)


@given(tables)
def test_a_table_is_refused_only_where_something_does_not_fit(table: Table) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if not isinstance(schedule, Refusal):
        return
    crowded = any(len(owners_at(table, time)) > 1 for time, _ in spans(12 * CYCLE, table))

    if schedule.hazard == Hazard.SLOT_OVERLAP:
        assert crowded
    elif schedule.hazard == Hazard.WINDOW_TOO_SHORT:
        held = [one for windows_ in table.values() for one in windows_]
        assert any(one.length < BOUNDS.shortest or one.offset < BOUNDS.shortest for one in held)
    else:
        assert schedule.hazard in {Hazard.TOO_MANY_ENTRIES, Hazard.NO_BEST_EFFORT}


@given(tables, st.integers(0, 10**12))
def test_a_schedule_that_begins_at_any_time_opens_the_same_gates(table: Table, begin: int) -> None:
    schedule = plan_schedule(table, cycle=CYCLE, bounds=BOUNDS)
    if isinstance(schedule, Refusal):
        return

    begun = timetable(schedule, begin)

    assert schedule_of(begun) == schedule
    for time, _ in spans(schedule.period, schedule):
        assert gates_at(begun.schedule, time - begin) == gates_at(schedule, time)
    for passed, _ in spans(schedule.period, begun.schedule):
        assert gates_at(begun.schedule, passed) == gates_at(schedule, begin + passed)


@given(tables, tables, st.integers(10**11, 10**12))
def test_a_changeover_begins_where_both_schedules_rest_if_they_ever_do(
    former: Table, latter: Table, earliest: int
) -> None:
    old, new = (plan_schedule(one, cycle=CYCLE, bounds=BOUNDS) for one in (former, latter))
    if isinstance(old, Refusal) or isinstance(new, Refusal):
        return

    found = find_changeover(old, new, earliest=earliest, shortest=BOUNDS.shortest)

    assert earliest <= found.hold_at < found.begin < found.release_at
    longest = rest = 0
    for time, end in spans(24 * CYCLE, old, new):
        rest = rest + end - time if gates_at(old, time) & gates_at(new, time) & 1 else 0
        longest = max(longest, rest)
    if longest >= 3 * BOUNDS.shortest:
        assert gates_at(old, found.begin) & gates_at(new, found.begin) & 1
        begun = timetable(new, found.begin)
        assert all(entry.interval >= BOUNDS.shortest for entry in begun.schedule.entries)
    else:
        assert found.begin % new.period == 0


def test_schedules_whose_common_period_is_too_long_change_at_the_next_ones_period() -> None:
    old, new = (
        GateSchedule(entries=(Entry(gates=1, interval=Nanoseconds(length)),))
        for length in (3_999_999_999, 1_000_000_007)
    )

    found = find_changeover(old, new, earliest=10**12, shortest=5)

    assert found.begin % new.period == 0
