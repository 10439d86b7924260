"""Ports of loopback for servers that start later."""

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

_LOCAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_FIRST = 12000
"""Above the ports that Kubernetes' own components have (10248 to 10259)."""

_LAST = 29999
"""Below the range of Kubernetes' node ports."""


def free_ports(count: int, *, local_range: Path = _LOCAL_RANGE) -> list[int]:
    """Distinct ports of loopback without a listener.

    None of them is in the range from which the kernel takes the local ports of outgoing
    connections: one of those might be in use by the time that the server starts.
    Raises ``OSError`` where too few are free.
    """
    first, last = (int(word) for word in local_range.read_text().split())
    ports = [port for port in range(_FIRST, _LAST + 1) if not first <= port <= last]
    candidates = iter(random.SystemRandom().sample(ports, len(ports)))
    with ExitStack() as stack:
        return [_bound(candidates, stack.enter_context) for _ in range(count)]


def _bound(candidates: Iterator[int], keep: Callable[[socket.socket], socket.socket]) -> int:
    """The next port that can be bound, on every address; it stays bound while it is kept."""
    for port in candidates:
        one = keep(socket.socket())
        try:
            one.bind(("", port))
        except OSError:
            one.close()
        else:
            return port
    raise OSError(f"no free port from {_FIRST} to {_LAST}")
