"""A node's daemon asked over its HTTP API, as the extender asks it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from extender.clients import RubicanteClient
from k40s.runtime.json_client import JsonClient
from k40s.runtime.tls import TlsFiles
from k40s.units import NS_PER_S, Nanoseconds
from workbench.asking import Judge

SERVER_NAME = "rubicante.k40s-system.svc"
TIMEOUT = Nanoseconds(10 * NS_PER_S)


@contextmanager
def asking_daemons(directory: Path) -> Iterator[Judge]:
    """Ask with the client certificate of a directory: tls.crt, tls.key and ca.crt.

    Asking raises ``UnavailableError`` where no valid answer comes; ``OSError`` for the files.
    """
    client = JsonClient(
        tls=TlsFiles.in_directory(directory), server_name=SERVER_NAME, timeout=TIMEOUT
    )
    try:
        yield partial(RubicanteClient(client).judge, timeout=TIMEOUT)
    finally:
        client.close()
