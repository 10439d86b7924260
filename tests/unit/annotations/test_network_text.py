import json
from datetime import UTC, datetime

import pytest

from k40s.annotations import (
    BackEnd,
    GrantedPath,
    GrantedSlots,
    GrantedWindow,
    NetworkNodeState,
    Role,
    StationState,
    format_network_grants,
    format_network_state,
    parse_network_grants,
    parse_network_requirements,
    parse_network_state,
)
from k40s.errors import InvalidAnnotationError
from k40s.network.model import Path, PathRequirement, SlotRequirement
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds

SLOT = {"network": "plant", "slot": {"payload": "256B", "period": "4ms"}}
PEER = {"network": "lan", "peer": "edge-2", "delay": "5ms", "bandwidth": "10Mbit"}


def refusal(*requirements: object) -> str:
    with pytest.raises(InvalidAnnotationError) as caught:
        parse_network_requirements(json.dumps(requirements))
    return str(caught.value)


def test_a_pod_names_slots_and_peers() -> None:
    length = {"network": "plant", "slot": {"length": "100us", "period": "4ms"}}
    pod = {"network": "lan", "peer": "default/db-0", "bandwidth": "1.5Gbit"}

    found = parse_network_requirements(json.dumps([SLOT, length, PEER, pod]))

    period = Nanoseconds(4 * NS_PER_MS)
    assert found == (
        SlotRequirement(network="plant", request=SlotRequest(period=period, payload=256)),
        SlotRequirement(
            network="plant",
            request=SlotRequest(period=period, length=Nanoseconds(100 * NS_PER_US)),
        ),
        PathRequirement(
            network="lan",
            peer="edge-2",
            delay=Nanoseconds(5 * NS_PER_MS),
            bandwidth=10_000_000,
        ),
        PathRequirement(network="lan", peer="default/db-0", bandwidth=1_500_000_000),
    )


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"network": "plant"}, "$[0]: found neither of them, expected one of the fields slot"),
        ({**SLOT, "peer": "n1"}, "$[0]: found both of them"),
        ({**SLOT, "network": "Plant"}, "$[0].network: found 'Plant', expected a name"),
        ({**SLOT, "slots": 1}, "$[0].slots: found the unknown field"),
        ({**SLOT, "slot": {"period": "4ms"}}, "$[0].slot: found neither of them"),
        (
            {**SLOT, "slot": {"period": "4ms", "payload": "1B", "length": "1us"}},
            "$[0].slot: found both of them",
        ),
        ({**SLOT, "slot": {"period": 4, "payload": "1B"}}, "$[0].slot.period: found 4, expected"),
        ({**SLOT, "slot": {"period": "4ms", "payload": "256"}}, "$[0].slot.payload: found '256'"),
        ({**SLOT, "slot": {"period": "4ms", "payload": "0B"}}, "$[0].slot.payload: found '0B'"),
        (
            {**SLOT, "slot": {"period": "1ms", "length": "2ms"}},
            "$[0].slot.length: found '2ms', expected at most the period, 1ms",
        ),
        (
            {**SLOT, "slot": {"period": "3601s", "payload": "1B"}},
            "$[0].slot.period: found '3601s', expected at most 3600s",
        ),
        ({"network": "lan", "peer": "n1"}, "$[0]: found neither of them, expected a delay"),
        ({**PEER, "peer": "a/b/c"}, "$[0].peer: found 'a/b/c', expected a node's name"),
        ({**PEER, "delay": "0ms"}, "$[0].delay: found '0ms', expected a duration above zero"),
        ({**PEER, "bandwidth": "10"}, "$[0].bandwidth: found '10', expected bits per second"),
        ({**PEER, "bandwidth": "0Mbit"}, "$[0].bandwidth: found '0Mbit'"),
        ({**PEER, "bandwidth": "0.0001kbit"}, "$[0].bandwidth: found '0.0001kbit'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(item: object, said: str) -> None:
    assert said.replace("$", "k40s.io/network at $", 1) in refusal(item)


def test_a_peer_is_named_once_on_a_network_and_a_slot_as_often_as_needed() -> None:
    assert "$[1].peer: found 'edge-2', expected each peer once" in refusal(PEER, PEER)
    assert len(parse_network_requirements(json.dumps([SLOT, SLOT]))) == 2


def test_a_pod_has_at_most_sixteen_requirements_and_at_least_one() -> None:
    assert "array of 1 to 16 items" in refusal(*[SLOT] * 17)
    assert "array of 1 to 16 items" in refusal()


def test_a_grant_says_how_to_send_in_its_slots() -> None:
    grants = (
        GrantedSlots(
            network="plant",
            interface="rteth0",
            back_end=BackEnd.TDMACFG,
            channel=2,
            slots=(GrantedWindow(offset=Nanoseconds(NS_PER_MS), phasing=2, every=4, payload=256),),
        ),
        GrantedPath(
            network="lan",
            path=Path(peer="db/db-0", nodes=("n1", "switch", "n2"), bandwidth=10_000_000),
        ),
    )

    text = format_network_grants(grants)

    assert json.loads(text) == [
        {
            "network": "plant",
            "interface": "rteth0",
            "backend": "tdmacfg",
            "slots": [{"offset": "1ms", "phasing": 2, "every": 4, "payload": "256B"}],
            "channel": 2,
        },
        {
            "network": "lan",
            "peer": "db/db-0",
            "path": ["n1", "switch", "n2"],
            "bandwidth": "10Mbit",
        },
    ]
    assert parse_network_grants(text) == grants


def test_a_grant_on_linux_names_the_priority_of_the_socket() -> None:
    window = GrantedWindow(offset=Nanoseconds(0), phasing=1, every=1, payload=60)
    grants = (
        GrantedSlots(
            network="plant",
            interface="eth1",
            back_end=BackEnd.TAPRIO,
            priority=3,
            slots=(window,),
        ),
    )

    text = format_network_grants(grants)

    assert json.loads(text)[0]["priority"] == 3
    assert parse_network_grants(text) == grants


def test_a_grant_has_a_channel_or_a_priority() -> None:
    slot = {"offset": "0ns", "phasing": 1, "every": 1, "payload": "60B"}
    both = {
        "network": "plant",
        "interface": "eth0",
        "backend": "taprio",
        "slots": [slot],
        "channel": 2,
        "priority": 3,
    }

    with pytest.raises(InvalidAnnotationError, match="one of the fields channel and priority"):
        parse_network_grants(json.dumps([both]))


STATE = NetworkNodeState(
    endpoint="https://10.0.0.1:9443",
    lease=Nanoseconds(30 * NS_PER_S),
    observed=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC),
    networks={
        "plant": StationState(
            interface="rteth0", back_end=BackEnd.IOCTL, role=Role.MASTER, channels=61
        )
    },
)


def test_a_node_says_what_its_stations_are() -> None:
    text = format_network_state(STATE)

    assert json.loads(text) == {
        "v": 1,
        "endpoint": "https://10.0.0.1:9443",
        "lease": "30s",
        "observed": "2026-03-01T12:00:00Z",
        "networks": {
            "plant": {
                "interface": "rteth0",
                "backend": "ioctl",
                "role": "master",
                "health": "ok",
                "channels": 61,
            }
        },
    }
    assert parse_network_state(text) == STATE


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("endpoint", "http://10.0.0.1:9443", "$.endpoint"),
        ("lease", "0.5s", "$.lease"),
        ("observed", "2026-03-01", "$.observed"),
        ("observed", "2026-02-31T12:00:00Z", "$.observed"),
        ("networks", {"Plant": {}}, "$.networks.Plant"),
        ("networks", {f"n{index}": {} for index in range(17)}, "at most 16 networks"),
        ("v", 2, "$.v"),
    ],
)
def test_a_state_that_cannot_be_is_refused_with_its_place(
    path: str, value: object, said: str
) -> None:
    text = json.dumps({**json.loads(format_network_state(STATE)), path: value})

    with pytest.raises(InvalidAnnotationError) as caught:
        parse_network_state(text)

    assert said in str(caught.value)


def test_a_state_is_never_longer_than_what_readers_take() -> None:
    stations = {
        f"a-network-with-a-long-name-{index}": STATE.networks["plant"] for index in range(16)
    }
    long = NetworkNodeState(
        endpoint=STATE.endpoint, lease=STATE.lease, observed=STATE.observed, networks=stations
    )

    with pytest.raises(ValueError, match="exceeds 1024 bytes"):
        format_network_state(long)
    with pytest.raises(InvalidAnnotationError, match="at most 1024 characters"):
        parse_network_state(" " * 1025)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "10.0.0.1"},
        {"lease": Nanoseconds(0)},
        {"observed": datetime(2026, 3, 1)},  # noqa: DTZ001  # that is the fault
        {"networks": {"Plant": STATE.networks["plant"]}},
    ],
)
def test_a_state_is_checked_at_birth(change: dict[str, object]) -> None:
    whole: dict[str, object] = {
        "endpoint": STATE.endpoint,
        "lease": STATE.lease,
        "observed": STATE.observed,
        "networks": STATE.networks,
    }

    with pytest.raises(ValueError, match=r".+"):
        NetworkNodeState(**(whole | change))  # type: ignore[arg-type]  # of many types


@pytest.mark.parametrize(
    "change", [{"interface": "a/b"}, {"health": "Bad"}, {"channels": -1}, {"held": "xyz"}]
)
def test_a_station_is_checked_at_birth(change: dict[str, object]) -> None:
    whole: dict[str, object] = {"interface": "eth0", "back_end": BackEnd.NONE}

    with pytest.raises(ValueError, match=r".+"):
        StationState(**(whole | change))  # type: ignore[arg-type]  # of many types
