import socket
from contextlib import ExitStack, suppress

import pytest

from k40s.errors import UnavailableError
from k40s.http.listening import Host, format_authority, has_ipv6, listen, parse_host

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("0.0.0.0", "0.0.0.0"),  # noqa: S104  # never bound
        ("127.0.0.1", "127.0.0.1"),
        ("::", "::"),
        ("[::]", "::"),
        ("::1", "::1"),
        ("[fd00::0001]", "fd00::1"),
        ("FD00::A", "fd00::a"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("localhost", "localhost"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("[::ffff:a00:1]", "10.0.0.1"),
        ("0xa.example", "0xa.example"),
        ("node-1.example.org.", "node-1.example.org."),
    ],
)
def test_reads_addresses_of_both_families_and_names(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *("[::", "::]", "[]", "[127.0.0.1]", "[::1]:8443", "127.0.0.1:8443", "localhost:8443"),
        *("1.2.3", "256.1.1.1", "127.1", "1", ":::", "fd00::g", "http://a", "a b", "a,b", "*"),
        *("0x7f000001", "1.2.3.0X4", "0x"),
        *("-a", "a-", "a..b", ".", "x" * 64, "a." * 130, "ä", "a/b"),
    ],
)
def test_refuses_what_is_neither_an_address_nor_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|octet|Octet|At|expected|Expected|Only|empty"):
        parse_host(text)


@pytest.mark.parametrize(
    ("host", "written"),
    [("10.0.0.1", "10.0.0.1:1"), ("::1", "[::1]:1"), ("localhost", "localhost:1")],
)
def test_puts_an_ipv6_address_into_brackets(host: str, written: str) -> None:
    assert format_authority(host, 1) == written


def reached(host: str, addresses: tuple[str, ...]) -> list[str]:
    """At which of the addresses a server at this host can be reached."""
    found = []
    with ExitStack() as undo:
        listeners = [undo.enter_context(one) for one in listen(Host(host), 0)]
        port = listeners[0].getsockname()[1]
        for address in addresses:
            with (
                suppress(ConnectionRefusedError),
                socket.create_connection((address, port), timeout=60),
            ):
                found.append(address)
    return found


BOTH = ("127.0.0.1", "::1")


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("::", ["127.0.0.1", "::1"]),
        ("0.0.0.0", ["127.0.0.1"]),  # noqa: S104  # that is what is tested
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
    ],
)
def test_listens_where_it_is_told_to(host: str, addresses: list[str]) -> None:
    assert reached(host, BOTH) == addresses


def test_a_name_is_served_at_its_addresses() -> None:
    assert "127.0.0.1" in reached("localhost", ("127.0.0.1",))


@pytest.mark.parametrize("host", ["192.0.2.1", "does-not-exist.invalid"])
def test_says_where_it_cannot_listen(host: str) -> None:
    with pytest.raises(UnavailableError, match=rf"cannot listen at {host}:8443: "):
        listen(Host(host), 8443)


def test_says_that_a_port_is_taken() -> None:
    with ExitStack() as undo:
        (first,) = listen(Host("127.0.0.1"), 0)
        undo.enter_context(first)
        port = first.getsockname()[1]

        with pytest.raises(UnavailableError, match=rf"127.0.0.1:{port}: Address already in use"):
            listen(Host("127.0.0.1"), port)
