"""Slots are set up at once, confirmed by a status, repaired, and taken back."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from daemons.scarmiglione.network.back_end import AppliedSlot, Channel, Refusal, Role
from k40s.errors import KernelError, UnavailableError
from k40s.network.model import Member, NetworkState
from k40s.reasons import Reason
from k40s.tdma.model import SlotGrant, Window
from tests.fakes.scarmiglione.back_end import FakeBackEnd, FakePriorities, Killed
from tests.fakes.scarmiglione.world import (
    INTERFACE,
    NET,
    NODE,
    World,
    ask,
    grant,
    network,
    pod,
    reservation,
    uid,
    window,
)


@pytest.fixture
def world() -> World:
    return World().open()


def foreign(number: int, at_us: int = 700) -> AppliedSlot:
    one = window(at_us)
    return AppliedSlot(number=number, offset=one.offset, phase=0, every=1, payload=60)


def test_a_request_is_served_at_once_and_answers_the_channel(world: World) -> None:
    answer = world.give(1, window(100))

    assert answer.schedulable
    assert [(one.interface, one.backend, one.channel) for one in answer.granted] == [
        (INTERFACE, "tdmacfg", 2)
    ]
    assert world.numbers == [2]
    assert world.events_of(uid(1)) == ["SlotsApplied"]


def test_windows_of_one_slot_share_the_queue_of_the_first(world: World) -> None:
    world.give(1, window(100), window(350), window(600))

    held = world.kernel.of(INTERFACE)
    assert [(n, slot.joins) for n, slot in sorted(held.items())] == [(2, None), (3, 2), (4, 2)]


def test_a_repeat_changes_nothing(world: World) -> None:
    first = world.give(1, window(100))
    writes = world.kernel.writes

    again, created = world.daemon.requests.apply(ask(1, window(100)), "b")

    assert (again, created) == (first, False)
    assert world.kernel.writes == writes


def test_channels_are_not_given_twice_and_end(world: World) -> None:
    given = [world.give(n, window(20 + 50 * n)).granted[0].channel for n in range(1, 9)]

    full = world.give(9, window(20 + 50 * 9))

    assert given == [2, 3, 4, 5, 6, 7, 8, 9]
    assert full.reason is Reason.NETWORK_NO_CHANNEL
    assert world.metric("refusals_total", reason="network.no-channel") == 1


def test_a_request_that_overtakes_the_watch_is_confirmed_by_it(world: World) -> None:
    assert world.ask(1, window(100)).schedulable
    world.reserve(1, window(100))
    world.show()
    world.tick()

    world.tick(60)

    assert world.numbers == [2]


def test_slots_that_no_status_ever_holds_are_withdrawn_within_seconds(world: World) -> None:
    assert world.ask(1, window(100)).schedulable

    world.tick(5)
    assert world.numbers == [2]
    world.tick(6)

    assert world.numbers == []
    assert world.daemon.book.entries() == ()
    assert "SlotsWithdrawn" in world.events_of(uid(1))
    assert world.metric("withdrawn_total", cause="unconfirmed") == 1


def test_slots_end_with_their_reservation(world: World) -> None:
    world.give(1, window(100))
    world.unreserve(1)
    world.show()

    world.tick()

    assert world.numbers == []


def test_slots_end_with_their_pod_although_the_status_still_holds_them(world: World) -> None:
    world.give(1, window(100))
    world.bind(1)
    world.tick()
    world.end(1)

    world.tick()
    world.tick()

    assert world.numbers == []
    assert world.ask(1, window(100)).reason is Reason.POD_UNKNOWN


def test_slots_end_when_all_containers_have_ended(world: World) -> None:
    world.give(1, window(100))
    world.bind(1, phase="Succeeded")

    world.tick()

    assert world.numbers == []


def test_a_network_that_cannot_be_read_keeps_its_slots_and_gets_no_new_ones(world: World) -> None:
    world.give(1, window(100))
    state = world.networks[NET]
    broken = type(state)(network=state.network, fault="spec.tdma.cycle: found 5")
    world.daemon.networks.put(broken)

    world.tick(100)

    assert world.numbers == [2]
    assert world.ask(2, window(300)).reason is Reason.NETWORK_INVALID


def test_slots_of_a_network_that_is_gone_are_taken_back_also_after_a_restart(world: World) -> None:
    world.give(1, window(100))
    world.networks.clear()

    world.restart()

    assert world.numbers == []
    assert world.store.texts == {} or all("pod/" not in key for key in world.store.texts)
    world.tick()
    assert world.store.texts == {}


@pytest.mark.parametrize(
    ("members", "name", "reason"),
    [
        ((NODE,), "other", Reason.NETWORK_UNKNOWN),
        (("edge-2",), NET, Reason.NETWORK_NOT_MEMBER),
    ],
)
def test_a_network_that_is_not_the_nodes_is_refused(
    members: tuple[str, ...], name: str, reason: Reason
) -> None:
    world = World(networks={})
    world.declare(network(*members))
    world.open()

    answer, _ = world.daemon.requests.apply(ask(1, window(100), network=name), "a")

    assert answer.reason is reason


def test_a_station_that_is_not_healthy_gets_no_slots(world: World) -> None:
    world.kernel.attached = False
    world.tick()

    answer = world.give(1, window(100))

    assert (answer.reason, answer.detail) == (Reason.NETWORK_UNHEALTHY, "plant: absent")


def test_nothing_is_served_before_networks_and_pods_are_known() -> None:
    world = World()

    with pytest.raises(UnavailableError, match="starting"):
        world.ask(1, window(100))


def test_slots_that_meet_those_of_another_pod_are_refused(world: World) -> None:
    world.reserve(7, window(100), node="edge-2")
    world.show()

    answer = world.ask(1, window(120))

    assert answer.reason is Reason.NETWORK_STATION_REFUSED
    assert "meet" in answer.detail
    assert world.numbers == []


def test_a_refusal_of_the_back_end_leaves_nothing(world: World) -> None:
    world.kernel.refuses = Refusal(
        reason=Reason.NETWORK_STATION_REFUSED, hazard="slot-overlap", detail="100..200 ns"
    )

    answer = world.give(1, window(100))

    assert answer.reason is Reason.NETWORK_STATION_REFUSED
    assert answer.detail == "slot-overlap: 100..200 ns"
    assert world.daemon.book.entries() == ()
    assert world.events_of(uid(1)) == ["SlotsFailed"]


def test_a_failure_in_the_middle_of_joint_slots_rolls_back(world: World) -> None:
    world.reserve(1, window(100), window(350), window(600))
    world.show()
    world.kernel.steps.left = 0
    world.kernel.failing_adds = 0
    add, seen = world.kernel.add, []

    def fail_at_third(interface: str, slot: AppliedSlot) -> None:
        seen.append(slot.number)
        if len(seen) == 3:
            raise KernelError("tdma_ioctl: ENOMEM")
        add(interface, slot)

    world.kernel.add = fail_at_third  # type: ignore[method-assign]  # the fake's own fault

    with pytest.raises(KernelError, match="ENOMEM"):
        world.ask(1, window(100), window(350), window(600))

    assert seen == [2, 3, 4]
    assert world.numbers == []
    assert world.daemon.book.entries() == ()


def test_a_disk_that_is_full_lets_nothing_reach_the_kernel(world: World) -> None:
    world.reserve(1, window(100))
    world.show()
    world.store.broken = True

    with pytest.raises(UnavailableError, match="disk is full"):
        world.ask(1, window(100))

    assert world.numbers == []


def test_a_withdrawn_attempt_takes_its_slots_with_it(world: World) -> None:
    world.give(1, window(100))

    assert world.daemon.requests.withdraw(uid(1), "a")

    assert world.numbers == []
    assert world.daemon.requests.withdraw(uid(1), "a")


def test_slots_stay_while_another_attempt_waits_for_them(world: World) -> None:
    world.give(1, window(100))
    world.ask(1, window(100), attempt="b")

    world.daemon.requests.withdraw(uid(1), "a")

    assert world.numbers == [2]


def test_a_withdrawal_that_overtakes_its_request_refuses_it(world: World) -> None:
    world.daemon.requests.withdraw(uid(1), "a")

    assert world.ask(1, window(100)).reason is Reason.POD_WITHDRAWN


def test_slots_of_a_bound_pod_cannot_be_withdrawn(world: World) -> None:
    world.give(1, window(100))
    world.bind(1)

    assert not world.daemon.requests.withdraw(uid(1), "a")
    assert world.numbers == [2]


def test_other_slots_for_a_pod_replace_those_that_the_status_no_longer_holds(world: World) -> None:
    world.give(1, window(100))

    answer = world.give(1, window(500))

    assert answer.schedulable
    assert [slot.offset for slot in world.kernel.of(INTERFACE).values()] == [500_000]


def test_other_slots_for_a_pod_are_refused_while_the_status_holds_the_first(world: World) -> None:
    world.give(1, window(100))

    assert world.ask(1, window(500)).reason is Reason.POD_CHANGED
    assert [slot.offset for slot in world.kernel.of(INTERFACE).values()] == [100_000]


def test_slots_that_are_gone_from_the_kernel_are_set_up_again_and_reported(world: World) -> None:
    world.give(1, window(100), window(400))
    del world.kernel.of(INTERFACE)[3]

    world.tick()

    assert world.numbers == [2, 3]
    assert world.daemon.health.health(NET) == "drift"
    assert world.events_of(NODE) == ["SlotDrift"]
    world.tick()
    assert world.daemon.health.health(NET) == "ok"


def test_a_slot_that_was_changed_in_place_is_put_right(world: World) -> None:
    world.give(1, window(100))
    world.kernel.of(INTERFACE)[2] = foreign(2)

    world.tick()

    assert world.kernel.of(INTERFACE)[2].offset == 100_000
    assert world.metric("drift", kind="altered") == 1


def test_slots_of_others_are_reported_and_never_removed(world: World) -> None:
    world.kernel.of(INTERFACE)[5] = foreign(5)

    world.tick()

    assert world.numbers == [5]
    assert world.daemon.health.health(NET) == "drift"
    assert world.metric("drift", kind="foreign") == 1
    document = json.loads(world.daemon.report.document())
    assert document["networks"][NET]["foreign"] == [5]


def test_slots_0_and_1_are_the_operators(world: World) -> None:
    world.kernel.of(INTERFACE).update({0: foreign(0, 20), 1: foreign(1)})

    world.tick()

    assert world.daemon.health.health(NET) == "ok"
    assert world.give(1, window(100)).granted[0].channel == 2


def test_a_channel_that_another_program_uses_is_not_given(world: World) -> None:
    world.kernel.of(INTERFACE)[2] = foreign(2)

    assert world.give(1, window(100)).granted[0].channel == 3


def test_what_another_program_put_in_place_of_a_slot_is_not_removed_with_it(world: World) -> None:
    world.give(1, window(100), window(400))
    world.kernel.of(INTERFACE)[3] = foreign(3)
    world.unreserve(1)
    world.show()

    world.tick()

    assert world.numbers == [3]
    assert world.daemon.book.entries() == ()


def test_without_its_store_a_daemon_takes_over_what_the_kernel_holds(world: World) -> None:
    world.give(1, window(100))
    world.give(2, window(300), window(500))
    writes = world.kernel.writes
    world.bind(2, annotations=grant(3, window(300), window(500)))
    world.bind(1)
    world.store.texts.clear()

    world.restart()

    assert world.kernel.writes == writes
    held = {entry.pod.uid: entry.slots[0].channel.numbers for entry in world.daemon.book.entries()}
    assert held == {uid(1): (2,), uid(2): (3, 4)}
    assert world.metric("drift", kind="foreign") == 0


def test_after_a_reboot_without_a_store_a_pod_keeps_the_channel_that_it_was_told(
    world: World,
) -> None:
    world.reserve(1, window(100))
    world.reserve(2, window(300), window(500))
    world.bind(2, annotations=grant(6, window(300), window(500)))
    world.bind(1)
    world.store.texts.clear()

    world.restart()

    held = world.kernel.of(INTERFACE)
    assert [held[6].offset, held[6].joins] == [300_000, None]
    assert held[2].joins in (None, 6)
    assert len(held) == 3


def test_a_reservation_of_a_pod_that_is_not_here_is_not_set_up_by_itself(world: World) -> None:
    world.reserve(1, window(100))
    world.show()

    world.tick()

    assert world.numbers == []


def test_a_kernel_that_fails_is_tried_again(world: World) -> None:
    world.give(1, window(100))
    world.unreserve(1)
    world.show()
    world.kernel.broken = True
    world.tick()
    assert world.daemon.health.health(NET) == "unreadable"
    world.kernel.broken = False

    world.tick()

    assert world.numbers == []
    assert world.daemon.health.health(NET) == "ok"


def test_on_stock_linux_a_pod_is_told_a_priority() -> None:
    world = World(back_end=FakePriorities).open()

    answer = world.give(1, window(100), window(500))

    (granted,) = answer.granted
    assert (granted.backend, granted.channel, granted.priority) == ("taprio", None, 1)
    world.unreserve(1)
    world.show()
    world.tick()
    assert world.numbers == []


def test_a_station_of_another_role_than_the_network_says_is_not_healthy(world: World) -> None:
    world.kernel.role = Role.MASTER

    world.tick()

    assert world.daemon.health.health(NET) == "second-master"
    assert world.events_of(NODE) == ["NetworkUnhealthy"]


def test_a_channel_that_was_never_answered_is_not_answered_once_another_program_uses_it() -> None:
    world = World().open()
    world.reserve(1, window(100))
    world.show()
    world.kernel.steps.left = 3  # the book is written, the kernel is not
    with pytest.raises(Killed):
        world.ask(1, window(100))
    world.kernel.steps.left, world.kernel.failing_adds = 0, 100
    world.restart()
    world.kernel.failing_adds = 0
    world.kernel.of(INTERFACE)[2] = foreign(2)
    world.daemon.health.look()

    answer = world.ask(1, window(100))

    assert answer.reason is Reason.NETWORK_UNHEALTHY
    assert world.kernel.of(INTERFACE) == {2: foreign(2)}
    assert world.daemon.book.entries() == ()


def test_a_running_pod_keeps_its_slots_while_its_network_cannot_be_read(world: World) -> None:
    world.ask(1, window(100))
    state = world.networks[NET]
    world.networks[NET] = NetworkState(network=state.network, fault="status: found 5")
    world.bind(1)

    world.tick(100)

    assert world.numbers == [2]
    assert world.daemon.book.entries()[0].bound


def test_an_interface_that_is_renamed_takes_the_slots_along(world: World) -> None:
    world.give(1, window(100))
    world.bind(1)
    world.tick()
    state = world.networks[NET]
    members = tuple(Member(node=one.node, interface="eth9") for one in state.network.members)
    world.networks[NET] = replace(state, network=replace(state.network, members=members))
    world.show()
    world.kernel.broken = True
    world.tick()
    document = json.loads(world.daemon.report.document())
    assert document["networks"][NET]["interface"] == "eth9"
    world.kernel.broken = False

    world.tick()
    world.tick()

    assert world.numbers == []
    assert sorted(world.kernel.of("eth9")) == [2]


def test_a_node_that_is_no_member_any_more_gives_its_slots_back(world: World) -> None:
    world.give(1, window(100))
    world.bind(1)
    world.tick()
    state = world.networks[NET]
    world.networks[NET] = replace(state, network=network("edge-2"))
    world.show()

    world.tick()
    world.tick()

    assert world.numbers == []
    assert world.daemon.book.entries() == ()
    assert world.daemon.healthy() is None


def test_joint_slots_do_not_take_the_channel_that_another_pod_was_told(world: World) -> None:
    world.reserve(1, window(100), window(200))
    world.reserve(2, window(300))
    world.bind(1, annotations=grant(6, window(100), window(200)))
    world.bind(2, annotations=grant(2, window(300)))
    world.store.texts.clear()
    world.kernel.of(INTERFACE).clear()

    world.restart()

    held = {entry.pod.uid: entry.slots[0].channel.number for entry in world.daemon.book.entries()}
    assert held == {uid(1): 6, uid(2): 2}


def test_a_reservation_that_no_request_could_hold_is_not_taken_over(world: World) -> None:
    state, many = world.networks[NET], SlotGrant(windows=(window(100, every=1 << 21),))
    world.networks[NET] = replace(
        state, reservations=(replace(reservation(1), slots=(many,)),), resource_version="9"
    )
    world.bind(1)

    world.tick()
    world.restart()

    assert world.daemon.book.entries() == ()
    assert "SlotsFailed" in world.events_of(uid(1))


class CountingBackEnd(FakeBackEnd):
    """Counts what it is asked to apply."""

    asked = 0

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        CountingBackEnd.asked += 1
        return super().apply(channel, windows)


def test_a_station_that_takes_no_slots_is_asked_once_in_a_look() -> None:
    world = World(back_end=CountingBackEnd).open()
    for number in range(1, 9):
        world.give(number, window(20 + 50 * number))
    world.kernel.attached = False
    CountingBackEnd.asked = 0

    world.tick()

    assert CountingBackEnd.asked == 1
    assert world.daemon.health.health(NET) == "absent"
    assert all("SlotsIncomplete" in world.events_of(uid(number)) for number in range(1, 9))
    world.kernel.attached = True
    world.tick()
    assert len(world.numbers) == 8


def test_each_pod_that_is_put_right_counts_as_progress() -> None:
    world = World()

    class Slow(FakeBackEnd):
        def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
            assert world.daemon.healthy() is None
            world.seconds += 40
            return super().apply(channel, windows)

    world.back_end = Slow
    world.start()
    world.open()
    for number in range(1, 9):
        world.give(number, window(20 + 50 * number))
        world.tick(0)
    world.kernel.of(INTERFACE).clear()

    world.tick()

    assert len(world.numbers) == 8


def test_a_running_pod_keeps_its_slots_while_the_watch_of_networks_is_silent(world: World) -> None:
    world.ask(1, window(100))
    world.daemon.pods.upsert(pod(1))
    world.tick(80)
    assert world.numbers == [2]

    world.reserve(1, window(100))
    world.daemon.networks.put(world.networks[NET])
    world.tick()
    world.tick(80)

    assert world.numbers == [2]


def test_a_running_pod_whose_slots_no_status_holds_loses_them_once_that_was_seen(
    world: World,
) -> None:
    world.ask(1, window(100))
    world.daemon.pods.upsert(pod(1))
    world.tick(80)
    world.daemon.networks.put(world.networks[NET])

    world.tick()

    assert world.numbers == []


def test_a_cause_is_logged_once_until_it_is_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.give(1, window(100))
    for _ in range(2):
        world.kernel.attached = False
        for _ in range(5):
            world.tick()
        world.kernel.attached = True
        world.tick()
        world.tick()

    assert [one.message for one in caplog.records].count("slots not applied") == 2
