"""What is said of a Network: conditions, utilization and the tables of slots."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from k40s.ledger.conditions import LONGEST_MESSAGE, Condition, Truth
from k40s.ledger.entry import Owner
from k40s.network.conditions import judge_health
from k40s.network.model import Link, Member, Network, NetworkReservation, NetworkState, Path, Tdma
from k40s.network.slot_listing import MOST_LINES, find_stretches, list_free, list_slots
from k40s.network.status import NetworkSummary
from k40s.network.summary import summarize
from k40s.tdma.model import Cycle, SlotGrant, Window
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

NODES = ("edge-1", "edge-2")
MEMBERS = tuple(Member(node=node, interface="rteth0") for node in NODES)
CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS),
    bit_rate=100_000_000,
    mtu=1500,
    guard=Nanoseconds(10 * NS_PER_US),
)
PLANT = Network(
    name="plant", members=MEMBERS, tdma=Tdma(cycle=CYCLE, master="edge-1"), generation=3
)
NOW = datetime(2026, 3, 1, 12, 0, 0, 500, tzinfo=UTC)
HEALTH = dict.fromkeys(NODES, "ok")


def window(offset_us: int, length_us: int = 50, *, phase: int = 0, every: int = 1) -> Window:
    return Window(
        offset=Nanoseconds(offset_us * NS_PER_US),
        phase=phase,
        every=every,
        length=Nanoseconds(length_us * NS_PER_US),
        payload=256,
    )


def holds(name: str, *windows: Window, until: datetime | None = None) -> NetworkReservation:
    return NetworkReservation(
        owner=Owner(uid=name, namespace="default", name=name),
        node="edge-1",
        slots=tuple(SlotGrant(windows=(one,)) for one in windows),
        until=until,
    )


def said(*reservations: NetworkReservation, network: Network = PLANT) -> NetworkSummary:
    state = NetworkState(network=network, reservations=reservations)
    return summarize(state, reservations, nodes=NODES, health=HEALTH, former=NetworkSummary())


def test_the_slot_table_says_when_how_much_and_whose() -> None:
    lines = list_slots(
        [
            holds("b", window(300, phase=1, every=4), until=NOW),
            holds("a", window(100)),
        ]
    )

    assert lines == [
        "100us to 150us, cycle 1/1, 256B: default/a on edge-1",
        "300us to 350us, cycle 2/4, 256B: default/b on edge-1, not bound yet",
    ]


def test_what_is_free_is_said_for_every_cycle_and_for_some() -> None:
    used = [window(100), window(300, phase=1, every=4), window(300, phase=3, every=4)]

    lines = list_free(find_stretches(CYCLE, used))

    assert lines == [
        "16.72us to 100us (83.28us) in every cycle",
        "150us to 300us (150us) in every cycle",
        "300us to 350us (50us) in 1 of 2 cycles",
        "350us to 1ms (650us) in every cycle",
    ]


def test_stretches_cover_the_cycle_without_a_gap() -> None:
    stretches = find_stretches(CYCLE, [window(100), window(120, every=2, phase=1)])

    assert stretches[0].begin == 0
    assert stretches[-1].end == CYCLE.period
    assert all(a.end == b.begin for a, b in pairwise(stretches))
    assert max(one.used for one in stretches) > 1  # these two overlap


def test_a_long_table_is_cut_and_says_so() -> None:
    lines = list_slots([holds(f"p{n}", window(n + 20, 1)) for n in range(MOST_LINES + 3)])

    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 3 more"


def test_utilization_counts_syncs_and_slots() -> None:
    summary = said(holds("a", window(100, 100)))

    assert (summary.kind, summary.members, summary.slots) == ("TDMA", 2, 1)
    assert summary.utilization == "11.7%"
    assert summary.observed_generation == 3


def test_slots_that_exclude_each_other_make_the_network_invalid() -> None:
    summary = said(holds("a", window(100)), holds("b", window(120)))

    valid = summary.conditions["Valid"]
    assert (valid.status, valid.reason) == (Truth.FALSE, "SlotsOverlap")
    assert valid.message == (
        "status.reservations: the slots of default/a and of default/b overlap under the cycle "
        "that is declared"
    )


def test_a_slot_that_meets_the_sync_makes_the_network_invalid() -> None:
    valid = said(holds("a", window(5))).conditions["Valid"]

    assert "the slots of the Sync and of default/a overlap" in valid.message


def test_a_network_of_links_is_as_full_as_its_fullest_link() -> None:
    links = (
        Link(ends=("edge-1", "switch"), delay=Nanoseconds(1), capacity=100),
        Link(ends=("switch", "edge-2"), delay=Nanoseconds(1), capacity=40),
    )
    network = Network(name="lan", members=MEMBERS, links=links)
    path = Path(peer="edge-2", nodes=("edge-1", "switch", "edge-2"), bandwidth=10)
    one = NetworkReservation(
        owner=Owner(uid="a", namespace="default", name="a"), node="edge-1", paths=(path,)
    )

    summary = said(one, network=network)

    assert (summary.kind, summary.utilization, summary.slots) == ("BestEffort", "25.0%", 0)
    assert summary.paths == ("default/a: edge-1 - switch - edge-2, 10 bit/s",)
    assert summary.conditions["Healthy"].status is Truth.TRUE


def test_a_wrong_field_is_named_and_the_tables_stay() -> None:
    former = said(holds("a", window(100)))
    broken = NetworkState(
        network=Network(name="plant", members=()), fault="spec.tdma.cycle: found '0ms'"
    )

    summary = summarize(broken, None, nodes=NODES, health={}, former=former, generation=7)

    assert summary.conditions["Valid"].message == "spec.tdma.cycle: found '0ms'"
    assert summary.conditions["Valid"].generation == summary.observed_generation == 7
    assert summary.conditions["Healthy"].status is Truth.UNKNOWN
    assert summary.slot_table == former.slot_table


def test_a_silent_member_leaves_health_unknown_and_a_fault_outweighs_it() -> None:
    silent = judge_health(PLANT, {"edge-1": "ok"})
    faulty = judge_health(PLANT, {"edge-1": "clock-step"})
    healthy = judge_health(PLANT, HEALTH)

    assert (silent.status, "edge-2" in silent.message) == (Truth.UNKNOWN, True)
    assert (faulty.status, faulty.message) == (Truth.FALSE, "not healthy: edge-1 (clock-step)")
    assert (healthy.status, healthy.message) == (Truth.TRUE, "2 of 2 stations are healthy")


def test_a_message_that_names_many_nodes_stays_short() -> None:
    members = tuple(Member(node=f"n{number}", interface="e") for number in range(30))
    network = Network(name="wide", members=members, tdma=Tdma(cycle=CYCLE, master="n0"))

    condition = judge_health(network, {})

    assert condition.message.startswith("no state of n0, n1,")
    assert "and 22 more" in condition.message


def test_a_condition_keeps_its_time_until_its_status_turns() -> None:
    first = Condition(
        kind="Valid", status=Truth.TRUE, reason="A", message="m" * 2000, generation=1
    ).following(None, NOW)
    later = NOW + timedelta(hours=1)

    same = replace(first, reason="B", since=None).following(first, later)
    turned = replace(first, status=Truth.FALSE).following(first, later)

    assert len(first.message) == LONGEST_MESSAGE
    assert same.since == first.since == NOW.replace(microsecond=0)
    assert turned.since == later.replace(microsecond=0)


def test_no_line_is_longer_than_the_definition_of_networks_allows() -> None:
    name = "n" * 253
    held = NetworkReservation(
        owner=Owner(uid="u", namespace="n" * 63, name=name),
        node=name,
        slots=(SlotGrant(windows=(window(100),)),),
        paths=(Path(peer="x", nodes=tuple(f"{n}-{name}"[:253] for n in range(8)), bandwidth=1),),
    )

    said = summarize(
        NetworkState(network=PLANT), [held], nodes=NODES, health=HEALTH, former=NetworkSummary()
    )

    lines = (*said.slot_table, *said.free, *said.paths)
    assert len(lines) > 2
    assert max(map(len, lines)) <= LONGEST_MESSAGE
