"""Laws of slots: they never meet, keep the guard, stay in the cycle, and are found if there."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, product

from hypothesis import assume, given
from hypothesis import strategies as st

from k40s.reasons import Reason
from k40s.tdma import check_table, damage, find_grant, utilization
from k40s.tdma.conflict import overlap
from k40s.tdma.expression import Expression, Inexpressible, express
from k40s.tdma.model import Cycle, SlotGrant, SlotRequest, SlotTable, Window
from k40s.units import NS_PER_US, Nanoseconds
from tests.oracles.slot_timeline import Sender, first_meeting, gaps
from tests.oracles.slot_views import senders_of, wire_of

PERIODS = (1, 2, 3, 4, 5, 6, 8, 10, 12)


@st.composite
def cycles(draw: st.DrawFn, longest: int = 2_000) -> Cycle:
    backup = draw(st.sampled_from((None, None, draw(st.integers(1, longest)) * NS_PER_US)))
    try:
        return Cycle(
            period=Nanoseconds(draw(st.integers(20, longest)) * NS_PER_US),
            bit_rate=draw(st.sampled_from((10_000_000, 100_000_000, 1_000_000_000, 7_000_003))),
            mtu=draw(st.sampled_from((60, 256, 1_500))),
            guard=Nanoseconds(draw(st.integers(0, 5_000))),
            sync_lateness=Nanoseconds(draw(st.integers(0, 3_000))),
            backup_offsets=() if backup is None else (Nanoseconds(backup),),
        )
    except ValueError:
        assume(False)  # noqa: FBT003
        raise


@st.composite
def requests(draw: st.DrawFn, cycle: Cycle) -> SlotRequest:
    times = draw(st.sampled_from((*PERIODS, Fraction(1, 2), Fraction(1, 3), Fraction(7, 3))))
    period = Nanoseconds(max(1, int(cycle.period * times)))
    if draw(st.booleans()):
        return SlotRequest(period=period, payload=draw(st.integers(1, 1_600)))
    length = draw(st.integers(1, cycle.period))
    return SlotRequest(period=period, length=Nanoseconds(length))


@given(st.data())
def test_slots_never_meet_keep_the_guard_and_stay_in_the_cycle(data: st.DataObject) -> None:
    cycle = data.draw(cycles())
    table = SlotTable(cycle=cycle)
    senders: list[Sender] = []

    for _ in range(data.draw(st.integers(1, 25))):
        request = data.draw(requests(cycle))
        jitter = data.draw(st.sampled_from((0, 1_234, 5_000)))
        grant = find_grant(table, request, jitter=jitter)
        if isinstance(grant, SlotGrant):
            senders += senders_of(grant.windows, jitter)
            table = SlotTable(cycle=cycle, windows=table.windows + grant.windows)

    assert first_meeting(wire_of(cycle), senders) is None
    assert check_table(table) is None
    assert all(window.end <= cycle.period for window in table.windows)
    assert utilization(table) <= 1


@given(st.data())
def test_a_grant_serves_at_least_as_often_and_as_long_as_asked(data: st.DataObject) -> None:
    cycle = data.draw(cycles())
    request = data.draw(requests(cycle))

    grant = find_grant(SlotTable(cycle=cycle), request)

    assume(isinstance(grant, SlotGrant))
    assert isinstance(grant, SlotGrant)
    form = express(cycle, request)
    assert isinstance(form, Expression)
    primaries = grant.windows[:: form.frames]
    (gap,) = gaps(senders_of(primaries), cycle.period)
    assert gap == form.period <= request.period
    if request.payload is not None:
        assert form.payload >= request.payload
    else:
        on_wire = sum(window.payload + 38 for window in grant.windows[: form.frames])
        assert on_wire >= (request.length or 0) * cycle.bit_rate // 8_000_000_000
    assert len({window.payload for window in grant.windows}) == 1


@given(st.data())
def test_the_nearest_of_what_is_refused_can_be_expressed(data: st.DataObject) -> None:
    cycle = data.draw(cycles(200))
    jitter = data.draw(st.integers(0, 5_000))

    for _ in range(10):
        request = data.draw(requests(cycle))
        found = express(cycle, request, jitter=jitter)
        if isinstance(found, Inexpressible) and found.nearest is not None:
            assert isinstance(express(cycle, found.nearest, jitter=jitter), Expression)
            assert found.nearest != request


windows = st.builds(
    lambda offset, every, phase, length: Window(
        offset=Nanoseconds(offset * NS_PER_US),
        phase=phase % every,
        every=every,
        length=Nanoseconds(length),
        payload=60,
    ),
    st.integers(0, 30),
    st.integers(1, 12),
    st.integers(0, 11),
    st.integers(1, 8_000),
)


@given(windows, windows)
def test_the_gcd_test_agrees_with_an_unrolled_hyperperiod(one: Window, other: Window) -> None:
    cycle = Cycle(period=Nanoseconds(40_000), bit_rate=10**9, mtu=1_500, guard=Nanoseconds(0))
    length = one.every * other.every
    busy = [
        (number * cycle.period + window.offset, window.length)
        for window in (one, other)
        for number in range(window.phase, length, window.every)
    ]
    busy.sort()
    met = any(start + span > later for (start, span), (later, _) in pairwise(busy))

    assert overlap(one, other, cycle) is met
    assert overlap(other, one, cycle) is met


def places(cycle: Cycle, form: Expression) -> list[list[Window]]:
    """Every place of a request, whole microseconds and cycles, whether free or not."""
    offsets = range(0, cycle.period, NS_PER_US)
    return [
        [
            Window(
                offset=Nanoseconds(offset + repeat * form.spacing + frame * form.stride),
                phase=phase,
                every=form.every,
                length=form.length,
                payload=form.payload,
            )
            for repeat in range(form.repeats)
            for frame in range(form.frames)
        ]
        for phase, offset in product(range(form.every), offsets)
    ]


def fits(cycle: Cycle, table: Sequence[Window], place: Sequence[Window]) -> bool:
    if any(window.end > cycle.period for window in place):
        return False
    return first_meeting(wire_of(cycle), senders_of((*table, *place))) is None


@given(st.data())
def test_a_place_is_found_if_and_only_if_there_is_one(data: st.DataObject) -> None:
    cycle = Cycle(
        period=Nanoseconds(data.draw(st.sampled_from((8, 12, 15))) * NS_PER_US),
        bit_rate=1_000_000_000,
        mtu=256,
        guard=Nanoseconds(data.draw(st.sampled_from((0, 300, 1_000)))),
    )
    table = SlotTable(cycle=cycle)
    refusals = 0
    for _ in range(20):
        times = data.draw(st.sampled_from((1, 2, 3, 4, 6, Fraction(1, 2), Fraction(1, 3))))
        size = data.draw(st.integers(60, 256)) if data.draw(st.booleans()) else None
        length = None if size else Nanoseconds(data.draw(st.integers(500, 5_000)))
        period = Nanoseconds(int(cycle.period * times))
        request = SlotRequest(period=period, payload=size, length=length)
        found = find_grant(table, request)
        if isinstance(found, SlotGrant):
            table = SlotTable(cycle=cycle, windows=table.windows + found.windows)
            continue
        form = express(cycle, request)
        if isinstance(form, Expression):
            refusals += 1
            assert found is Reason.NETWORK_NO_SLOT
            assert not any(fits(cycle, table.windows, place) for place in places(cycle, form))
        if refusals == 3:
            break


@given(st.data())
def test_a_grant_that_is_given_back_can_be_granted_again(data: st.DataObject) -> None:
    cycle = data.draw(cycles())
    table = SlotTable(cycle=cycle)
    held: list[SlotGrant] = []
    for _ in range(12):
        grant = find_grant(table, data.draw(requests(cycle)))
        if isinstance(grant, SlotGrant):
            held.append(grant)
            table = SlotTable(cycle=cycle, windows=table.windows + grant.windows)
    assume(held)
    gone = data.draw(st.sampled_from(held))
    left = SlotTable(
        cycle=cycle,
        windows=tuple(window for window in table.windows if window not in gone.windows),
    )

    assert check_table(SlotTable(cycle=cycle, windows=left.windows + gone.windows)) is None
    assert 0 <= damage(left, gone) <= 1
