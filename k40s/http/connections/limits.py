"""Limits of a server's connections, by kind, from the process's limit of open files."""

import resource
from dataclasses import dataclass

_MOST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Separate bounds: unauthenticated connections never displace those of known clients."""

    unauthenticated: int
    """Connections to the API before the client is known."""
    authenticated: int
    """Connections of the clients on the list."""
    probes: int
    """Connections to the probe port."""


def find_connection_limits(limit: int | None = None) -> ConnectionLimits:
    """Take at most half of the files that may be open (``limit``, else RLIMIT_NOFILE)."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    files = _MOST if limit in (resource.RLIM_INFINITY, -1) else limit
    return ConnectionLimits(
        unauthenticated=max(1, min(256, files // 8)),
        authenticated=max(1, min(512, files // 4)),
        probes=max(1, min(128, files // 8)),
    )
