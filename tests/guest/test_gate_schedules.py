"""The back end ``taprio`` on Debian's kernel, with packets on a pair of veth devices."""

import pytest


def counts(value: object) -> dict[str, list[int]]:
    assert isinstance(value, dict)
    return value


def test_a_device_with_several_queues_gives_a_priority_for_each_but_one(
    facts: dict[str, object],
) -> None:
    assert facts["gates-limits"] == [1, 3]
    assert facts["gates-single-queue"] == "one has a single queue; taprio needs several"


def test_slots_are_applied_and_read_back(facts: dict[str, object]) -> None:
    assert facts["gates-applied"] == ["None", "None", "None"]
    assert facts["gates-first-holds"] is True


@pytest.mark.parametrize("when", ["first", "second"])
def test_every_packet_arrives_inside_its_window(facts: dict[str, object], when: str) -> None:
    found = counts(facts[f"gates-{when}"])

    assert all(sent == inside for sent, inside in found.values()), found
    assert all(sent >= 150 for sent, _inside in found.values()), found


def test_a_schedule_is_replaced_under_traffic(facts: dict[str, object]) -> None:
    assert facts["gates-changed"] == ["None", "None", "None"]
    assert facts["gates-second-holds"] is True
    assert facts["gates-repeated"] == "None"


def test_no_packet_is_outside_or_lost_while_it_is_replaced(facts: dict[str, object]) -> None:
    stages = facts["gates-stages"]

    assert isinstance(stages, list)
    assert len(stages) == 4
    assert all(outside == [] for _count, outside in stages), stages
    assert facts["gates-lost"] == 0


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
