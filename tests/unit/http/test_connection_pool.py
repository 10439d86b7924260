"""Connections of the HTTP client: which are kept, through which proxy, and how streams are read."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from k40s.errors import UnavailableError
from k40s.http.client import AnswerTooLongError, HttpClient, LateError, Stream, UntrustedError
from k40s.http.connection_pool import Connection, ConnectionPool, Proxy, split_url
from k40s.http.tls import ClientTls, server_context
from k40s.kube.connect import connect
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.unit.conftest import NamedFiles

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TIMEOUT = Nanoseconds(20 * NS_PER_S)
Serve = Callable[[socket.socket], None]


def read_head(peer: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (received := peer.recv(9999)):
        head += received
    return head


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A server that has each connection served in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    peer = listener.accept()[0]
                    threading.Thread(target=handle, args=(peer,), daemon=True).start()

        def handle(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                serve(peer)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=120)


def answer_each(peer: socket.socket) -> None:
    while read_head(peer):
        peer.sendall(ANSWER)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://h/a?b=c", ("http", "h", 80), "/a?b=c"),
        ("https://[fd00::1]:6443/a", ("https", "fd00::1", 6443), "/a"),
        ("https://h", ("https", "h", 443), "/"),
        ("HTTPS://H:1/A", ("https", "h", 1), "/A"),
        ("https://h/a#b", ("https", "h", 443), "/a#b"),
    ],
)
def test_splits_a_url(url: str, origin: tuple[str, str, int], target: str) -> None:
    assert split_url(url) == (origin, target)


@pytest.mark.parametrize(
    "url", ["/a", "ftp://h/a", "http:///a", "https://h:x/", "https://h?a/", "https://h\n/"]
)
def test_what_is_no_url_is_unavailable(url: str) -> None:
    with pytest.raises(UnavailableError, match="no valid HTTP request"):
        HttpClient(timeout=TIMEOUT).request("GET", url)


def test_keeps_so_many_idle_connections_to_each_origin() -> None:
    with listening(answer_each) as port:
        origin, _ = split_url(f"http://127.0.0.1:{port}/")
        pool = ConnectionPool(max_idle=2)
        made = [Connection(origin, context=None) for _ in range(3)]
        for connection in made:
            connection.connect()
            pool.give_back(connection)

        taken = [pool.take(origin, None) for _ in range(3)]

        assert taken == [made[1], made[0], None]
        assert made[2].sock is None
        for connection in made:
            connection.close()


def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    closed = threading.Event()

    def answer_once(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(ANSWER)
        peer.shutdown(socket.SHUT_WR)
        closed.set()
        peer.recv(1)

    with listening(answer_once) as port, closing(HttpClient(timeout=TIMEOUT)) as client:
        for _ in range(3):
            assert client.request("GET", f"http://127.0.0.1:{port}/") == (200, b"ok")
            assert closed.wait(120)
            closed.clear()


def test_a_proxy_is_asked_for_a_tunnel() -> None:
    heads: list[bytes] = []

    def proxy(peer: socket.socket) -> None:
        heads.append(read_head(peer))
        peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        heads.append(read_head(peer))
        peer.sendall(ANSWER)

    with listening(proxy) as port:
        chosen = Proxy("127.0.0.1", port, {"Proxy-Authorization": "Basic eDp5"})
        with closing(HttpClient(timeout=TIMEOUT, proxy=chosen)) as client:
            assert client.request("GET", "http://api.invalid:8080/x") == (200, b"ok")

    assert heads[0].startswith(b"CONNECT api.invalid:8080 HTTP/1.")
    assert b"Proxy-Authorization: Basic eDp5" in heads[0]
    assert heads[1].startswith(b"GET /x HTTP/1.1\r\nHost: api.invalid:8080\r\n")
    assert b"Proxy-Authorization" not in heads[1]


def test_a_proxy_is_asked_for_an_ipv6_server_in_brackets() -> None:
    heads: list[bytes] = []

    def proxy(peer: socket.socket) -> None:
        heads.append(read_head(peer))
        peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        heads.append(read_head(peer))
        peer.sendall(ANSWER)

    with (
        listening(proxy) as port,
        closing(HttpClient(timeout=TIMEOUT, proxy=Proxy("127.0.0.1", port, {}))) as client,
    ):
        assert client.request("GET", "http://[fd00::1]:6443/x") == (200, b"ok")

    assert heads[0].startswith(b"CONNECT [fd00::1]:6443 HTTP/1.")
    assert heads[1].startswith(b"GET /x HTTP/1.1\r\nHost: [fd00::1]:6443\r\n")


def write_kubeconfig(path: Path, cluster: str) -> str:
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {cluster}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    )
    return str(path)


def test_a_kubeconfigs_proxy_is_used(tmp_path: Path) -> None:
    heads: list[bytes] = []

    def proxy(peer: socket.socket) -> None:
        heads.append(read_head(peer))
        peer.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    with listening(proxy) as port:
        cluster = f'{{server: "https://api.invalid", proxy-url: "http://127.0.0.1:{port}"}}'
        gateway = connect(kubeconfig=write_kubeconfig(tmp_path / "config", cluster))

        with pytest.raises(UnavailableError, match="403 Forbidden"):
            gateway.get_node("edge-1")

    assert heads[0].startswith(b"CONNECT api.invalid:443 HTTP/1.")


def test_a_proxy_of_another_kind_is_refused(tmp_path: Path) -> None:
    cluster = '{server: "https://api.invalid", proxy-url: "https://proxy.invalid"}'

    with pytest.raises(UnavailableError, match="proxy of the scheme 'https'"):
        connect(kubeconfig=write_kubeconfig(tmp_path / "config", cluster))


def test_a_server_is_checked_unless_that_is_switched_off(files: NamedFiles) -> None:
    tls = files("k40s-rubicante-tls")
    context = server_context(tls)
    context.verify_mode = 0  # type: ignore[assignment]  # CERT_NONE: clients without a certificate

    def answer_tls(raw: socket.socket) -> None:
        with context.wrap_socket(raw, server_side=True) as peer:
            answer_each(peer)

    with listening(answer_tls) as port:
        url = f"https://127.0.0.1:{port}/"
        trusting = HttpClient(timeout=TIMEOUT, tls=ClientTls(verify=False))
        naming = HttpClient(timeout=TIMEOUT, tls=ClientTls(ca=tls.ca), server_name="rubicante")

        assert trusting.request("GET", url) == naming.request("GET", url) == (200, b"ok")
        for wrong in (ClientTls(), ClientTls(ca=tls.ca)):
            with pytest.raises(UntrustedError):
                HttpClient(timeout=TIMEOUT, tls=wrong).request("GET", url)
        trusting.close()
        naming.close()


def test_a_header_that_is_none_is_not_told() -> None:
    with listening(answer_each) as port:
        client = HttpClient(timeout=TIMEOUT, authorization=lambda: "Bearer secret\nX: y")

        with pytest.raises(UnavailableError, match=r"no valid HTTP request$") as caught:
            client.request("GET", f"http://127.0.0.1:{port}/")

    assert "secret" not in str(caught.value)


def streaming(parts: list[bytes], *, end: threading.Event | None = None) -> Serve:
    def serve(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(CHUNKED)
        for part in parts:
            peer.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        if end is None:
            peer.sendall(b"0\r\n\r\n")
        else:
            end.wait(120)

    return serve


def test_a_stream_gives_each_line_as_soon_as_it_is_there() -> None:
    end = threading.Event()
    with (
        listening(streaming([b"a\nb", b"c\n", b"\nd"], end=end)) as port,
        HttpClient(timeout=TIMEOUT).stream(f"http://127.0.0.1:{port}/", silence=TIMEOUT) as answer,
    ):
        lines = answer.lines()

        assert [next(lines) for _ in range(3)] == [b"a", b"bc", b""]
        end.set()
        with pytest.raises(UnavailableError, match="IncompleteRead"):
            next(lines)


def test_the_last_line_of_a_stream_needs_no_end() -> None:
    with (
        listening(streaming([b"a\nb"])) as port,
        HttpClient(timeout=TIMEOUT).stream(f"http://127.0.0.1:{port}/", silence=TIMEOUT) as answer,
    ):
        assert list(answer.lines()) == [b"a", b"b"]


def test_a_stream_that_falls_silent_is_late() -> None:
    end = threading.Event()
    with listening(streaming([b"a\n"], end=end)) as port:
        client = HttpClient(timeout=TIMEOUT)
        silence = Nanoseconds(200 * NS_PER_MS)
        with client.stream(f"http://127.0.0.1:{port}/", silence=silence) as answer:
            lines = answer.lines()

            assert next(lines) == b"a"
            with pytest.raises(LateError):
                next(lines)
        end.set()


def test_a_line_of_a_stream_is_bounded() -> None:
    with listening(streaming([b"a" * 3, b"b" * 3])) as port:
        client = HttpClient(timeout=TIMEOUT, max_answer=4)
        with (
            client.stream(f"http://127.0.0.1:{port}/", silence=TIMEOUT) as answer,
            pytest.raises(AnswerTooLongError, match="line above 4 bytes"),
        ):
            list(answer.lines())


def test_a_long_line_of_a_stream_costs_no_more_than_its_length() -> None:
    parts = [b"x" * 4096] * 4096

    class Response:
        status, length = 200, None

        def read1(self, _most: int) -> bytes:
            return parts.pop() if parts else b""

    begun = time.process_time()
    lines = list(Stream("GET /watch", Response(), 64 << 20).lines())  # type: ignore[arg-type]  # as much of one as is read

    assert [len(line) for line in lines] == [16 << 20]
    assert time.process_time() - begun < 2


def test_what_a_server_sends_instead_of_a_status_is_shown_without_control_characters() -> None:
    def serve(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(b"\x1b[2Jgarbage\r\n\r\n")

    with (
        listening(serve) as port,
        closing(HttpClient(timeout=TIMEOUT)) as client,
        pytest.raises(UnavailableError, match="garbage") as caught,
    ):
        client.request("GET", f"http://127.0.0.1:{port}/")

    assert str(caught.value).isprintable()
