"""Whatever is written of networks gives a value, a fault or the one error; and it reads back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.annotations import (
    BackEnd,
    GrantedPath,
    GrantedSlots,
    GrantedWindow,
    NetworkGrant,
    NetworkNodeState,
    Role,
    StationState,
    format_network_grants,
    format_network_requirements,
    format_network_state,
    parse_network_grants,
    parse_network_requirements,
    parse_network_state,
)
from k40s.errors import InvalidAnnotationError
from k40s.ledger.entry import Owner
from k40s.network.model import (
    NetworkReservation,
    Path,
    PathRequirement,
    Requirement,
    SlotRequirement,
)
from k40s.network.objects import NetworkReader, parse_network
from k40s.network.reservations import format_reservations
from k40s.network.text import format_bit_rate, parse_bit_rate
from k40s.tdma.model import SlotGrant, SlotRequest, Window
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.kube.networks import LAN, TDMA, network_object

WORDS = (
    *("network", "slot", "peer", "payload", "length", "period", "delay", "bandwidth", "members"),
    *("node", "interface", "jitter", "tdma", "cycle", "guard", "bitRate", "mtu", "master", "links"),
    *("from", "to", "capacity", "delays", "backupMasters", "offset", "syncLateness", "path"),
    *("slots", "windows", "phase", "every", "pod", "uid", "namespace", "name", "until", "attempt"),
    *("v", "endpoint", "lease", "observed", "networks", "health", "channels", "role", "backend"),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            *("1ms", "0ns", "-1us", "5us", "256B", "0B", "10Mbit", "n1", "n2", "plant", "eth0"),
            *("2026-03-01T12:00:00Z", "2026-02-31T12:00:00Z", "ok", "taprio", "\ud800", "9s"),
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=20,
)
TEXTS = st.text(max_size=200) | VALUES.map(json.dumps)


@pytest.mark.parametrize(
    "parse", [parse_network_requirements, parse_network_grants, parse_network_state]
)
@given(text=TEXTS)
def test_any_annotation_gives_a_value_or_the_one_error(
    parse: Callable[[str], object], text: str
) -> None:
    try:
        parse(text)
    except InvalidAnnotationError as error:
        assert len(str(error)) < 1000  # noqa: PT017  # another error fails the test


@given(spec=VALUES, status=VALUES)
def test_any_object_gives_a_state_and_what_cannot_be_used_a_fault(
    spec: object, status: object
) -> None:
    item: dict[str, object] = network_object("x", spec)
    item["status"] = status

    state = parse_network(item)

    assert state.network.name == "x"
    assert state.fault is not None  # nothing so small is a Network
    assert len(state.fault) < 1000


@st.composite
def spoilt(draw: st.DrawFn) -> object:
    """A good spec of which one part is something else, or a field more."""
    whole = json.loads(json.dumps(draw(st.sampled_from((TDMA, LAN)))))
    place = whole
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or draw(st.integers(0, 2)) == 0:
            place[key] = draw(VALUES)
            return whole
        place = place[key]


@given(spec=spoilt())
def test_a_spoilt_network_never_raises_and_names_what_is_wrong(spec: object) -> None:
    state = parse_network(network_object("x", spec))

    assert state.fault is None or state.fault.startswith("spec")


@given(rate=st.integers(1, 10**13))
def test_a_written_bit_rate_reads_back(rate: int) -> None:
    assert parse_bit_rate(format_bit_rate(rate)) == rate


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
TIMES = st.integers(1, 3600 * NS_PER_S).map(Nanoseconds)
PAYLOADS = st.integers(60, 1500)
RATES = st.integers(1, 10**13)


@st.composite
def requests(draw: st.DrawFn) -> SlotRequest:
    period = draw(TIMES)
    if draw(st.booleans()):
        return SlotRequest(period=period, payload=draw(PAYLOADS))
    return SlotRequest(period=period, length=Nanoseconds(draw(st.integers(1, period))))


@st.composite
def path_requirements(draw: st.DrawFn, network: str, peer: str) -> PathRequirement:
    delay = draw(st.none() | TIMES)
    bandwidth = draw(RATES if delay is None else st.none() | RATES)
    return PathRequirement(network=network, peer=peer, delay=delay, bandwidth=bandwidth)


@st.composite
def requirements(draw: st.DrawFn) -> tuple[Requirement, ...]:
    slots = draw(st.lists(st.builds(SlotRequirement, network=NAMES, request=requests())))
    pairs = draw(st.lists(st.tuples(NAMES, NAMES), unique=True, max_size=6))
    peers = [draw(path_requirements(*pair)) for pair in pairs]
    found: list[Requirement] = [*slots[:8], *peers]
    return tuple(found) or (SlotRequirement(network="x", request=draw(requests())),)


@given(value=requirements())
def test_written_requirements_read_back(value: tuple[Requirement, ...]) -> None:
    assert parse_network_requirements(format_network_requirements(value)) == value


@st.composite
def windows(draw: st.DrawFn) -> Window:
    every = draw(st.integers(1, 4096))
    return Window(
        offset=Nanoseconds(draw(st.integers(0, 900)) * NS_PER_US),
        phase=draw(st.integers(0, every - 1)),
        every=every,
        length=Nanoseconds(draw(st.integers(1, 50 * NS_PER_US))),
        payload=draw(PAYLOADS),
    )


PATHS = st.builds(
    Path,
    peer=NAMES,
    nodes=st.lists(NAMES, min_size=1, max_size=5).map(tuple),
    bandwidth=st.integers(0, 10**13),
)


@st.composite
def granted_windows(draw: st.DrawFn) -> GrantedWindow:
    window = draw(windows())
    return GrantedWindow(
        offset=window.offset,
        phasing=window.phase + 1,
        every=window.every,
        payload=window.payload,
    )


GRANTS: st.SearchStrategy[NetworkGrant] = st.builds(GrantedPath, network=NAMES, path=PATHS) | (
    st.builds(
        GrantedSlots,
        network=NAMES,
        interface=st.sampled_from(("eth0", "rteth0")),
        back_end=st.sampled_from(BackEnd),
        slots=st.lists(granted_windows(), min_size=1, max_size=3).map(tuple),
        channel=st.none() | st.integers(0, 63),
    )
)


@given(value=st.lists(GRANTS, max_size=6).map(tuple))
def test_written_grants_read_back(value: tuple[NetworkGrant, ...]) -> None:
    assert parse_network_grants(format_network_grants(value)) == value


MOMENTS = st.datetimes(datetime(1000, 1, 1)).map(  # noqa: DTZ001  # made UTC
    lambda at: at.replace(tzinfo=UTC)
)
STATIONS = st.builds(
    StationState,
    interface=st.sampled_from(("eth0", "rteth0")),
    back_end=st.sampled_from(BackEnd),
    role=st.sampled_from(Role),
    health=st.sampled_from(("ok", "no-sync", "drift")),
    channels=st.integers(0, 65535),
    held=st.none() | st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
)


@given(
    networks=st.dictionaries(NAMES, STATIONS, max_size=4),
    observed=MOMENTS,
    lease=st.integers(NS_PER_S, 3600 * NS_PER_S).map(Nanoseconds),
)
def test_a_written_state_reads_back(
    networks: dict[str, StationState], observed: datetime, lease: Nanoseconds
) -> None:
    value = NetworkNodeState(
        endpoint="https://[fd00::1]:9443", lease=lease, observed=observed, networks=networks
    )

    assert parse_network_state(format_network_state(value)) == value


RESERVATIONS = st.builds(
    NetworkReservation,
    owner=st.builds(Owner, uid=NAMES, namespace=NAMES, name=NAMES),
    node=NAMES,
    slots=st.lists(
        st.builds(SlotGrant, windows=st.lists(windows(), min_size=1, max_size=3).map(tuple)),
        max_size=3,
    ).map(tuple),
    paths=st.lists(PATHS, max_size=3).map(tuple),
    attempt=st.sampled_from(("", "a-1")),
    until=st.none() | MOMENTS,
)


@given(held=st.lists(RESERVATIONS, max_size=5, unique_by=lambda one: one.owner.uid).map(tuple))
def test_written_reservations_read_back(held: tuple[NetworkReservation, ...]) -> None:
    status = {"reservations": format_reservations(held)}

    state = parse_network(network_object("x", TDMA, status=json.loads(json.dumps(status))))

    assert state.fault is None
    assert state.reservations == held


@given(
    versions=st.lists(
        st.lists(RESERVATIONS, max_size=4, unique_by=lambda one: one.owner.uid).map(tuple),
        max_size=4,
    ),
    spoilt_at=st.integers(0, 4),
    specs=st.lists(st.sampled_from((TDMA, LAN, {"members": 3})), min_size=4, max_size=4),
)
def test_a_reader_that_remembers_reads_the_same(
    versions: list[tuple[NetworkReservation, ...]], spoilt_at: int, specs: list[object]
) -> None:
    reader = NetworkReader()
    for number, held in enumerate(versions):
        listed: list[object] = [*format_reservations(held)]
        if number == spoilt_at:
            listed.append({"pod": {"uid": ["u"]}, "node": 3})
        status = {"reservations": listed}
        item = network_object("x", specs[number], status=status, generation=number // 2)

        assert reader.read(item) == parse_network(item)
