import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k40s.errors import UnavailableError
from k40s.http.connection_pool import split_url
from k40s.http.listening import has_ipv6
from k40s.http.tls import ClientTls
from k40s.kube.connect import ServiceAccount, connect
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.cluster import Cluster, service_account_tls, serving

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text("a certificate")
    return tmp_path


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "kubernetes.default.svc"])
def test_the_server_is_where_the_environment_says(mount: Path, host: str) -> None:
    account = ServiceAccount(POD | {"KUBERNETES_SERVICE_HOST": host}, directory=mount)

    assert split_url(account.url + "/x") == (("https", host, 443), "/x")
    assert account.tls == ClientTls(ca=mount / "ca.crt")
    assert account.tls.verify


def test_a_renewed_token_is_used(mount: Path) -> None:
    account = ServiceAccount(POD, directory=mount)
    before = account.token()

    (mount / "token").write_text("second")

    assert (before, account.token()) == ("Bearer first", "Bearer second")


@pytest.mark.parametrize(
    ("environment", "missing", "said"),
    [
        ({}, "", "neither a kubeconfig nor a pod's environment"),
        (POD | {"KUBERNETES_SERVICE_PORT": "https"}, "", "neither a kubeconfig"),
        (POD, "ca.crt", "ca.crt is missing"),
        (POD, "token", "service account token: "),
    ],
)
def test_outside_of_a_pod_there_is_no_way_to_the_server(
    mount: Path, environment: Mapping[str, str], missing: str, said: str
) -> None:
    if missing:
        (mount / missing).unlink()

    with pytest.raises(UnavailableError, match=f"no way to the API server: .*{said}"):
        connect(environment=environment, service_account=mount)


def test_connects_to_the_server_of_the_clusters_authority_alone(tmp_path: Path) -> None:
    with serving(Cluster(), service_account_tls(tmp_path / "pod")) as url:
        environment = {
            "KUBERNETES_SERVICE_HOST": "localhost",
            "KUBERNETES_SERVICE_PORT": url.rpartition(":")[2],
        }
        service_account_tls(tmp_path / "other")

        node = connect(environment=environment, service_account=tmp_path / "pod").get_node(NODE)
        stranger = connect(environment=environment, service_account=tmp_path / "other")

        assert node is not None
        with pytest.raises(UnavailableError, match="certificate"):
            stranger.get_node(NODE)


def at_ipv6_loopback(directory: Path) -> ssl.SSLContext:
    """As ``service_account_tls``, but the certificate names the address ::1, as API servers do."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apiserver")])
    address = x509.IPAddress(ipaddress.IPv6Address("::1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    directory.mkdir()
    (directory / "token").write_text("secret")
    (directory / "ca.crt").write_bytes(certificate)
    (directory / "server.pem").write_bytes(certificate + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "server.pem")
    return context


@pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_connects_to_a_server_at_an_ipv6_address(tmp_path: Path, host: str) -> None:
    with serving(Cluster(), at_ipv6_loopback(tmp_path / "pod"), host="::1") as url:
        environment = {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": url.rpartition(":")[2],
        }
        gateway = connect(environment=environment, service_account=tmp_path / "pod")

        node = gateway.get_node(NODE)
        pods = gateway.pods(node=NODE).list()

    assert node is not None
    assert pods is not None


@pytest.mark.parametrize("text", ["\n", "a\nb", "a b"])
def test_what_is_no_token_proves_nothing_and_is_not_told(mount: Path, text: str) -> None:
    (mount / "token").write_text(text)

    with pytest.raises(UnavailableError, match=r"token holds none$"):
        ServiceAccount(POD, directory=mount)


def test_an_answer_that_trickles_ends_with_the_call(tmp_path: Path) -> None:
    context = service_account_tls(tmp_path / "pod")
    done = threading.Event()

    def trickle(listener: socket.socket) -> None:
        with listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as peer:
            peer.recv(9999)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            with suppress(OSError):
                while not done.wait(0.02):
                    peer.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=trickle, args=(listener,))
        server.start()
        environment = {
            "KUBERNETES_SERVICE_HOST": "localhost",
            "KUBERNETES_SERVICE_PORT": str(listener.getsockname()[1]),
        }
        gateway = connect(
            environment=environment,
            service_account=tmp_path / "pod",
            timeout=Nanoseconds(300 * NS_PER_MS),
        )
        timer = threading.Timer(20, done.set)
        timer.start()

        with pytest.raises(UnavailableError, match=r"timed out|not complete in time"):
            gateway.get_node(NODE)
        assert not done.is_set()
        timer.cancel()
        done.set()
        server.join()


def test_a_pod_does_not_hold_the_client_library_in_memory() -> None:
    modules = "daemons.rubicante.process, daemons.malacoda.__main__, extender.__main__"
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    ).stdout.split()

    assert "k40s.kube.connect" in loaded
    assert not {"kubernetes", "pydantic", "oauthlib", "requests"} & set(loaded)
