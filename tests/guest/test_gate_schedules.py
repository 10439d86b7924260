"""The back end ``taprio`` on Debian's kernel, with packets on a pair of veth devices.

The guest's clocks count the instructions of its one CPU, so a busy host changes nothing that it
sees: every packet is judged, in one attempt.
"""

import pytest

EDGE_SHARE = 0.01
"""Of packets, so many may get their time just past the end of their window: an interrupt, of the
guest's disk or console, came between the gate and the time. Their hosts decide when."""
Stage = tuple[dict[str, int], dict[str, int], list[list[float]]]
"""Judged by class, not judged by why not, and those outside."""


def stages(facts: dict[str, object]) -> list[Stage]:
    found = facts["gates-stages"]
    assert isinstance(found, list)
    return found


def test_a_device_with_several_queues_gives_a_priority_for_each_but_one(
    facts: dict[str, object],
) -> None:
    assert facts["gates-limits"] == [1, 3]
    assert facts["gates-single-queue"] == "one has a single queue; taprio needs several"


def test_slots_are_applied_and_read_back(facts: dict[str, object]) -> None:
    assert facts["gates-applied"] == ["None", "None", "None"]
    assert facts["gates-first-holds"] is True


@pytest.mark.parametrize("when", [0, -1], ids=["first", "second"])
def test_every_packet_arrives_inside_its_window(facts: dict[str, object], when: int) -> None:
    judged, unjudged, outside = stages(facts)[when]

    assert outside == []
    assert sorted(judged) == ["1", "2", "3"]
    assert all(count >= 150 for count in judged.values()), judged
    assert set(unjudged) <= {"edge"}, unjudged
    assert sum(unjudged.values()) <= EDGE_SHARE * sum(judged.values()), (unjudged, judged)


def test_a_schedule_is_replaced_under_traffic(facts: dict[str, object]) -> None:
    assert facts["gates-changed"] == ["None", "None", "None"]
    assert facts["gates-second-holds"] is True
    assert facts["gates-repeated"] == "None"


def test_no_packet_is_lost_and_a_class_sends_one_early_at_most_while_it_is_replaced(
    facts: dict[str, object],
) -> None:
    found, early = stages(facts), facts["gates-early"]
    attempts = facts["gates-attempts"]

    assert len(found) == 4
    assert all(outside == [] for _judged, _unjudged, outside in found), found
    assert attempts == 1
    assert isinstance(early, dict)
    assert all(count <= attempts for count in early.values()), early
    assert facts["gates-lost"] == []


def test_tc_shows_the_schedule_of_the_table(facts: dict[str, object]) -> None:
    # classes 1 to 3 in two cycles of 100 ms; class 0 alone in the rest
    assert facts["gates-tc"] == [
        ["0x1", 5],
        ["0x2", 30],
        ["0x1", 5],
        ["0x8", 20],
        ["0x1", 10],
        ["0x4", 20],
        ["0x1", 15],
        ["0x2", 30],
        ["0x1", 5],
        ["0x4", 20],
        ["0x1", 10],
        ["0x8", 20],
        ["0x1", 10],
    ]


def test_the_longest_schedule_is_read_back_while_another_one_waits(
    facts: dict[str, object],
) -> None:
    assert facts["gates-longest"] is True


def test_a_schedule_that_a_lost_link_stopped_is_installed_anew(facts: dict[str, object]) -> None:
    assert facts["gates-link-lost"] == [0, 1]
    assert facts["gates-link-back"] == ["None", True, 0]
