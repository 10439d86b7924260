from copy import deepcopy
from typing import Any

import pytest

from k40s.network.model import Link, Member
from k40s.network.objects import NetworkReader, parse_network
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.kube.networks import LAN, TDMA, network_object

BACKUPS = [{"node": "n2", "offset": "300us"}, {"node": "n3", "offset": "600us"}]
WINDOW = {"offset": "100us", "phase": 0, "every": 4, "length": "34us", "payload": "256B"}
HELD = {
    "pod": {"uid": "u1", "namespace": "default", "name": "control"},
    "node": "n2",
    "slots": [{"windows": [WINDOW]}],
}


def fault_of(spec: object, status: object = None) -> str:
    return parse_network(network_object("x", spec, status=status)).fault or ""


def tdma(**changes: object) -> dict[str, Any]:
    return {**TDMA, "tdma": {**TDMA["tdma"], **changes}}


def lan(**changes: object) -> dict[str, Any]:
    return {**LAN, **changes}


def test_reads_a_tdma_network() -> None:
    state = parse_network(network_object("plant", tdma(backupMasters=BACKUPS), version="7"))

    network = state.network
    assert (network.name, network.generation, state.resource_version) == ("plant", 1, "7")
    assert state.fault is None
    assert network.members[2] == Member(
        node="n3", interface="eth1", jitter=Nanoseconds(20 * NS_PER_US)
    )
    assert network.tdma is not None
    assert network.tdma.master == "n1"
    assert network.tdma.backup_masters == {"n2": 300 * NS_PER_US, "n3": 600 * NS_PER_US}
    cycle = network.tdma.cycle
    assert (cycle.period, cycle.guard, cycle.mtu) == (NS_PER_MS, 10 * NS_PER_US, 1500)
    assert cycle.bit_rate == 100_000_000
    assert cycle.backup_offsets == (300 * NS_PER_US, 600 * NS_PER_US)


def test_reads_a_best_effort_network() -> None:
    matrix = [{"from": "n1", "to": "n2", "delay": "1ms"}]
    measured = [{"from": "n2", "to": "n1", "delay": "3ms"}]

    state = parse_network(
        network_object("lan", lan(delays=matrix), status={"measuredDelays": measured})
    )

    assert state.fault is None
    assert state.network.links[1] == Link(
        ends=("n2", "switch"), delay=Nanoseconds(100 * NS_PER_US), capacity=100_000_000
    )
    assert state.network.delays == {("n1", "n2"): NS_PER_MS}
    assert state.measured == {("n2", "n1"): 3 * NS_PER_MS}


MEMBERS = [{"node": "a", "interface": "e"}, {"node": "b", "interface": "e"}]
ONE_WAY = [{"from": "a", "to": "b", "delay": "1ms"}]
EXPECTED_MATRIX = "an entry for every pair of members in both directions, or links"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "spec: found null, expected an object"),
        ({}, "spec.members: found nothing, expected this field"),
        ({"members": MEMBERS}, "spec: found neither, expected either tdma, or links and delays"),
        ({**TDMA, "links": LAN["links"]}, "spec: found both"),
        (tdma(colour="red"), 'spec.tdma.colour: found the unknown field "colour"'),
        (lan(members=[]), "spec.members: found an array of 0 items"),
        (lan(members=[MEMBERS[0]] * 2), "spec.members[1].node: found 'a', expected each node once"),
        (
            lan(members=[{**MEMBERS[0], "jitter": "-1us"}]),
            "spec.members[0].jitter: found '-1us', expected a duration",
        ),
        (tdma(master="n9"), "spec.tdma.master: found 'n9', expected a node among the members"),
        (tdma(cycle="0ms"), "spec.tdma.cycle: found '0ms', expected a duration above zero"),
        (tdma(cycle="1.0001ms"), "spec.tdma.cycle: found 1000100ns, expected whole microseconds"),
        (tdma(cycle="16us"), "spec.tdma.cycle: found 16us, expected room for a Sync"),
        (tdma(cycle="11s"), "spec.tdma.cycle: found 11000000000ns, expected 1us to 10s"),
        (tdma(guard="2ms"), "spec.tdma.guard: found 2000000ns, expected 0ns to 1ms"),
        (tdma(bitRate="0bit"), "spec.tdma.bitRate: found '0bit', expected bits per second"),
        (tdma(mtu=59), "spec.tdma.mtu: found 59, expected a whole number from 60 to 1500"),
        (
            tdma(backupMasters=[{"node": "n9", "offset": "300us"}]),
            "spec.tdma.backupMasters[0].node: found 'n9', expected a node among the members",
        ),
        (
            tdma(backupMasters=[BACKUPS[0]] * 2),
            "spec.tdma.backupMasters[1].node: found 'n2', expected each node once",
        ),
        (
            tdma(backupMasters=[{"node": "n1", "offset": "300us"}]),
            "spec.tdma.backupMasters: found 'n1', expected other nodes than the master",
        ),
        (
            tdma(backupMasters=[{"node": "n2", "offset": "999us"}]),
            "spec.tdma.backupMasters: found offset 999us, expected one from",
        ),
        (
            tdma(backupMasters=[*BACKUPS[:1], {"node": "n3", "offset": "301us"}]),
            "spec.tdma.backupMasters: found offset 301us, expected one from",
        ),
        (
            lan(links=[{"from": "n1", "to": "n1", "delay": "1us"}]),
            "spec.links[0].to: found 'n1', expected another end than from",
        ),
        (
            lan(links=[*LAN["links"], {"from": "switch", "to": "n1", "delay": "1us"}]),
            "spec.links[3]: found another one, expected one link between two ends",
        ),
        (lan(links=LAN["links"][1:]), "spec.links: found none at 'n1', expected a link at every"),
        (
            {"members": MEMBERS, "delays": ONE_WAY},
            f"spec.delays: found none from 'b' to 'a', expected {EXPECTED_MATRIX}",
        ),
        (
            {"members": MEMBERS, "delays": [{**ONE_WAY[0], "to": "c"}]},
            "spec.delays[0].to: found 'c', expected a node among the members",
        ),
        (
            {"members": MEMBERS, "delays": ONE_WAY * 2},
            "spec.delays[1]: found 'a' to 'b' again, expected each pair once",
        ),
        (
            {"members": MEMBERS, "delays": [{**ONE_WAY[0], "to": "a"}]},
            "spec.delays[0].to: found 'a', expected another node than from",
        ),
    ],
)
def test_a_network_that_cannot_be_has_a_fault_that_names_the_field(spec: object, said: str) -> None:
    fault = fault_of(spec)

    assert fault.startswith(said)


def status(**changes: object) -> dict[str, Any]:
    held = deepcopy(HELD)
    held["slots"][0]["windows"][0] |= changes  # type: ignore[index]  # of JSON
    return {"reservations": [held]}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"reservations": 3}, "status.reservations: found 3, expected an array"),
        ({"reservations": [3]}, "status.reservations[0]: found 3, expected an object"),
        (
            {"reservations": [{**HELD, "until": "2026-02-31T12:00:00Z"}]},
            "status.reservations[0].until: found '2026-02-31T12:00:00Z', expected a time in UTC",
        ),
        ({"reservations": [HELD, HELD]}, "status.reservations[1].pod: found u1 again"),
        (status(phase=4), "status.reservations[0].slots[0].windows[0].phase: found 4"),
        (status(every=0), "status.reservations[0].slots[0].windows[0].every: found 0"),
        (
            status(offset="1.5us"),
            "status.reservations[0].slots[0].windows[0].offset: found 1500ns, expected whole",
        ),
        (
            status(offset="990us"),
            "status.reservations: found one of pod default/control beyond it, expected slots",
        ),
        ({"measuredDelays": [{"from": "n1", "to": "n9", "delay": "1ms"}]}, "status.measuredDelays"),
        ("x", "status: found 'x', expected an object"),
    ],
)
def test_reservations_that_cannot_be_understood_make_the_network_unusable(
    found: object, said: str
) -> None:
    """A slot that nobody can read is taken all the same."""
    state = parse_network(network_object("x", TDMA, status=found))

    assert (state.fault or "").startswith(said)
    assert state.reservations == ()
    assert len(state.network.members) == 3


def test_an_object_without_a_status_or_with_odd_metadata_is_read() -> None:
    assert parse_network({"spec": TDMA}).fault is None
    assert parse_network({"metadata": 3, "spec": TDMA, "status": None}).fault is None


def test_a_reader_remembers_some_networks_and_reads_all() -> None:
    reader = NetworkReader()
    good = {"reservations": [HELD]}
    for number in range(70):
        item = network_object(f"n{number}", TDMA, status=good)
        assert reader.read(item) == reader.read(item) == parse_network(item)

    odd = network_object("n69", TDMA, status={"reservations": [3, HELD]})
    assert reader.read(odd) == parse_network(odd)
