"""The oracle that sends every frame sees what meets, to the nanosecond."""

from dataclasses import replace

import pytest

from tests.oracles.slot_timeline import Sender, Wire, first_meeting, gaps

WIRE = Wire(cycle=1_000_000, bit_rate=100_000_000, guard=10_000)
SENDER = Sender(offset=100_000, phase=0, every=2, payload=60)
"""Its frame takes 7,840 ns."""


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        (replace(SENDER, phase=1), False),
        (replace(SENDER, phase=0, every=3), True),
        (replace(SENDER, offset=117_840), False),
        (replace(SENDER, offset=117_839), True),
        (replace(SENDER, offset=82_160), False),
        (replace(SENDER, offset=82_161), True),
        (replace(SENDER, offset=82_160, jitter=1), True),
        (replace(SENDER, phase=5, every=7, offset=105_000), True),
    ],
)
def test_frames_meet_if_they_come_closer_than_the_guard(other: Sender, *, meets: bool) -> None:
    assert (first_meeting(WIRE, (SENDER, other)) is not None) is meets


@pytest.mark.parametrize(("offset", "meets"), [(982_160, False), (982_161, True), (16_719, True)])
def test_frames_meet_the_sync_and_that_of_the_next_cycle(offset: int, *, meets: bool) -> None:
    sender = Sender(offset=offset, phase=2, every=3, payload=60)

    assert (first_meeting(WIRE, (sender,)) is not None) is meets


def test_a_late_sync_needs_more_room() -> None:
    sender = Sender(offset=16_720, phase=0, every=1, payload=60)

    assert first_meeting(WIRE, (sender,)) is None
    found = first_meeting(replace(WIRE, lateness=1), (sender,))
    assert found == "Sync 0 and slot 0 at 0 ns"


def test_backup_masters_send_as_well() -> None:
    found = first_meeting(replace(WIRE, syncs=(0, 90_000)), (SENDER,))

    assert found == "Sync 1 and slot 0 at 90000 ns"


def test_distances_of_sends_are_counted_over_the_cycle_end() -> None:
    assert gaps((SENDER,), WIRE.cycle) == {2_000_000}
    assert gaps((SENDER, replace(SENDER, phase=1)), WIRE.cycle) == {1_000_000}
