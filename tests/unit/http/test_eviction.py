import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.http.connections.eviction import ConnectionTable, source_of
from k40s.http.connections.limits import find_connection_limits


@given(st.integers(1, 8), st.lists(st.sampled_from("abc"), max_size=60))
def test_never_has_more_than_its_places(limit: int, sources: list[str]) -> None:
    table: ConnectionTable[int] = ConnectionTable(limit)

    for number, source in enumerate(sources):
        table.add(number, source)

        assert len(table) <= limit


@given(st.integers(2, 8), st.lists(st.sampled_from("abc"), max_size=60))
def test_sheds_the_oldest_of_the_source_with_the_most(limit: int, sources: list[str]) -> None:
    table: ConnectionTable[int] = ConnectionTable(limit)
    here: dict[int, str] = {}

    for number, source in enumerate(sources):
        here[number] = source
        counts = {one: list(here.values()).count(one) for one in here.values()}
        leaving = table.add(number, source)

        assert (leaving is None) == (len(here) <= limit)
        if leaving is not None:
            own = here[leaving]
            assert counts[own] == max(counts.values())
            assert leaving == min(n for n, other in here.items() if other == own)
            del here[leaving]
        assert all((n in table) == (n in here) for n in range(number + 1))


def test_a_flood_takes_no_place_of_another_source() -> None:
    table: ConnectionTable[object] = ConnectionTable(16)
    table.add("scheduler", "10.0.0.1")

    for number in range(1000):
        table.add(number, "10.0.0.2")

    assert "scheduler" in table


def test_those_of_sources_with_few_have_their_turn_first() -> None:
    table: ConnectionTable[str] = ConnectionTable(16)
    for connection in ("flood-1", "flood-2", "flood-3"):
        table.add(connection, "flood")
    table.add("scheduler", "quiet")

    order = sorted(("flood-2", "flood-1", "scheduler"), key=table.order)

    assert order == ["scheduler", "flood-1", "flood-2"]


def test_the_oldest_is_the_first_that_came_and_is_still_here() -> None:
    table: ConnectionTable[str] = ConnectionTable(3)
    for connection in "abc":
        table.add(connection, "s")

    table.remove("a")

    assert table.oldest() == "b"
    assert [table.evict(), table.evict(), table.evict(), table.oldest()] == ["b", "c", None, None]


def test_has_room_for_one_at_least() -> None:
    with pytest.raises(ValueError, match="one at least"):
        ConnectionTable(0)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (("10.0.0.1", 4711), "10.0.0.1"),
        (("::ffff:10.0.0.1", 4711, 0, 0), "10.0.0.1"),
        (("fd00:0:0:1:2:3:4:5", 4711, 0, 0), "fd00:0:0:1::"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::"),
        (("::1", 4711, 0, 0), "::"),
        ("", ""),
    ],
)
def test_a_source_is_an_ipv4_address_or_the_network_of_an_ipv6_host(
    address: object, source: str
) -> None:
    assert source_of(address) == source


@given(st.integers(0, 1 << 30))
def test_all_connections_together_leave_half_of_the_files_for_the_rest(limit: int) -> None:
    limits = find_connection_limits(limit)

    together = limits.unauthenticated + limits.authenticated + limits.probes
    assert min(limits.unauthenticated, limits.authenticated, limits.probes) >= 1
    assert together <= max(3, limit // 2)


def test_the_number_of_connections_is_bounded_without_a_limit_of_files() -> None:
    unlimited = find_connection_limits(-1)

    assert (unlimited.unauthenticated, unlimited.authenticated, unlimited.probes) == (256, 512, 128)
    assert find_connection_limits(1 << 20) == unlimited
