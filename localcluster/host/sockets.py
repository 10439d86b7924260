"""Whether a Unix socket is served."""

import socket
from pathlib import Path


def answers(path: Path) -> bool:
    """Whether a server accepts connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
