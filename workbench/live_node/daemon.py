"""Admission queries to a node's daemon over its HTTP API, as the extender sends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
from k40s.node_api.client import RubicanteClient
from k40s.units import NS_PER_S, Nanoseconds
from workbench.inputs.node_state import NodeQuery

SERVER_NAME = "rubicante"
TIMEOUT = Nanoseconds(10 * NS_PER_S)


@contextmanager
def daemon_query(directory: Path) -> Iterator[NodeQuery]:
    """A query with the client certificate of a directory: tls.crt, tls.key and ca.crt.

    The query raises ``UnavailableError`` where no valid answer comes; ``OSError`` for the files.
    """
    client = HttpClient(
        tls=TlsFiles.in_directory(directory), server_name=SERVER_NAME, timeout=TIMEOUT
    )
    try:
        yield partial(RubicanteClient(client).query_admission, timeout=TIMEOUT)
    finally:
        client.close()
