"""Ports of loopback for servers that start later."""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

_LOCAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_PORTS = range(12000, 30000)
"""Above the ports that Kubernetes' own components have (10248 to 10259), below its node ports."""


def free_ports(count: int, *, among: range = _PORTS, local_range: Path = _LOCAL_RANGE) -> list[int]:
    """Distinct ports of loopback without a listener.

    None of them is in the range from which the kernel takes the local ports of outgoing
    connections: one of those might be in use by the time that the server starts. Nobody else who
    asks here gets them meanwhile: until its end, this process has the UDP port of the same number.
    Raises ``OSError`` where too few are free; ``among`` has one at least.
    """
    first, last = (int(word) for word in local_range.read_text().split())
    ports = [port for port in among if not first <= port <= last]
    candidates = iter(random.SystemRandom().sample(ports, len(ports)))
    with ExitStack() as stack:
        found = [bound for _ in range(count) if (bound := _bound(candidates, stack))]
        if len(found) < count:
            raise OSError(f"no free port from {among[0]} to {among[-1]}")
        for _, claim in found:
            claim.detach()
    return [port for port, _ in found]


def _bound(candidates: Iterator[int], stack: ExitStack) -> tuple[int, socket.socket] | None:
    """The next port that can be bound, on every address, and the socket that claims it."""
    for port in candidates:
        server = stack.enter_context(socket.socket())
        claim = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        try:
            claim.bind(("", port))
            server.bind(("", port))
        except OSError:
            claim.close()
            server.close()
        else:
            return port, claim
    return None
