"""Where a server listens: addresses of either family, host names, and all addresses at once."""

import errno
import ipaddress
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NewType

from k40s.errors import UnavailableError

Host = NewType("Host", str)
"""An IPv4 or IPv6 address without brackets, or a host name."""

HOST_FORM = 'an address such as "0.0.0.0", "::" or "fd00::1", or a host name'
EVERY_ADDRESS = Host("::")
"""All addresses of both families, as far as the system has them."""

BACKLOG = 2048
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_MAX_NAME = 253
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def parse_host(text: str) -> Host:
    """Read an address, with or without the brackets of a URL, or a host name; else ValueError.

    An IPv4 address that is written as one of IPv6 (``::ffff:10.0.0.1``) is that of IPv4.
    """
    if text.startswith("[") and text.endswith("]"):
        return _format(ipaddress.IPv6Address(text[1:-1]))
    try:
        return _format(ipaddress.ip_address(text))
    except ValueError:
        labels = text.removesuffix(".").split(".")
        named = len(text) <= _MAX_NAME and all(map(_LABEL.fullmatch, labels))
        if not named or _NUMBER.fullmatch(labels[-1]):  # a mistyped address, which some resolve
            raise ValueError(f"neither an address nor a host name: {text!r}") from None
        return Host(text)


def _format(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Host:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Host(str(mapped or address))


def format_authority(host: str, port: int) -> str:
    """Write host and port as a URL has them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(host: Host, port: int) -> list[socket.socket]:
    """Open listening, non-blocking sockets: one for an address, one for each address of a name.

    ``::`` takes connections of both families, and those of IPv4 where the system has no IPv6.
    Port 0 chooses one, the same for all. Raises ``UnavailableError`` with host and port.
    """
    try:
        with ExitStack() as undo:
            opened: list[socket.socket] = []
            for family, address in _addresses(host, port):
                chosen = opened[0].getsockname()[1] if opened else port
                one = undo.enter_context(_open(family, (address[0], chosen, *address[2:])))
                opened.append(one)
            undo.pop_all()
            return opened
    except OSError as error:
        where = format_authority(host, port)
        raise UnavailableError(f"cannot listen at {where}: {error.strerror or error}") from error


def _addresses(host: Host, port: int) -> Iterator[tuple[int, tuple[object, ...]]]:
    if host == EVERY_ADDRESS:
        yield (socket.AF_INET6, ("::", port)) if has_ipv6() else (socket.AF_INET, ("0.0.0.0", port))  # noqa: S104  # what "::" asks for
        return
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    usable = [
        (family, address)
        for family, _, _, _, address in found
        if family == socket.AF_INET or has_ipv6() or len(found) == 1
    ]
    yield from dict.fromkeys(usable)


def has_ipv6() -> bool:
    """Whether a socket of IPv6 can be bound here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
            one.bind(("::", 0))
    except OSError as error:
        if error.errno in _NO_IPV6:
            return False
        raise
    return True


def _open(family: int, address: tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            every = address[0] == EVERY_ADDRESS
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if every else 1)
        opened.bind(address)
        opened.listen(BACKLOG)
        opened.settimeout(0)
    except BaseException:
        opened.close()
        raise
    return opened
