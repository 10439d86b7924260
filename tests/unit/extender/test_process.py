"""``python -m extender`` as its own process: where it listens, and how it says that it cannot."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from k40s.http.listening import has_ipv6
from k40s.http.tls import TlsFiles, client_context
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, SERVER_NAME, issue_certificates

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")
BOTH = ("127.0.0.1", "::1")


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """Of an extender whose API server is not there: it serves all the same."""
    certificates = issue_certificates(tmp_path)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, users: [{name: u, user: {}}],"
        " contexts: [{name: c, context: {cluster: k, user: u}}],"
        " clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]}"
    )
    return {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "K40S_KUBECONFIG": str(kubeconfig),
        "K40S_TLS_DIRECTORY": str(certificates["k40s-extender-tls"].cert.parent),
        "K40S_CLIENT_TLS_DIRECTORY": str(certificates["k40s-extender-client-tls"].cert.parent),
        "CLIENT": str(certificates["k40s-scheduler-tls"].cert.parent),
    }


@contextmanager
def extender(environment: Mapping[str, str], **settings: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-m", "extender"],
        cwd=ROOT,
        env={**environment, **settings},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def reach(address: str, port: int, seconds: float = 60) -> socket.socket:
    """Connect, as soon as somebody listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((address, port), timeout=60)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise


def probe(address: str, port: int) -> int:
    connection = http.client.HTTPConnection(address, port)
    connection.sock = reach(address, port)
    with closing(connection):
        connection.request("GET", "/healthz")
        return connection.getresponse().status


def call(address: str, port: int, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPConnection(address, port)
    raw = reach(address, port)
    connection.sock = context.wrap_socket(raw, server_hostname=SERVER_NAME)
    with closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().status


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        (None, BOTH),
        ("[::]", BOTH),
        ("::1", BOTH[1:]),
        ("localhost", BOTH[:1]),
    ],
)
def test_each_host_serves_api_and_probes(
    environment: Mapping[str, str], host: str | None, addresses: tuple[str, ...]
) -> None:
    port, probe_port = free_ports(2)
    context = client_context(TlsFiles.in_directory(Path(environment["CLIENT"])))
    chosen = {} if host is None else {"K40S_HOST": host}

    with extender(environment, K40S_PORT=str(port), K40S_PROBE_PORT=str(probe_port), **chosen):
        found = {
            address: (probe(address, probe_port), call(address, port, context))
            for address in addresses
        }
        for address in set(BOTH) - set(addresses):
            for closed in (port, probe_port):
                with pytest.raises(ConnectionRefusedError):
                    reach(address, closed, 0)

    assert found == dict.fromkeys(addresses, (200, 404))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"K40S_HOST": "[::"}, "extender: K40S_HOST: found '[::', expected an address such as"),
        (
            {"K40S_HOST": "127.0.0.1:8443", "K40S_PORT": "70000"},
            "expected a port from 0 to 65535",
        ),
        ({"K40S_HOST": "192.0.2.1"}, "extender: cannot listen at 192.0.2.1:8443: "),
        ({"K40S_HOST": "no-such-host.invalid"}, "cannot listen at no-such-host.invalid:8443: "),
    ],
)
def test_ends_with_one_line_where_it_cannot_listen(
    environment: Mapping[str, str], settings: Mapping[str, str], said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "extender"],
        cwd=ROOT,
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert said in ended.stderr
