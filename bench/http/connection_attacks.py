"""Abusive connections, from a process of their own. For ``bench.http.connections``."""

import http.client
import multiprocessing
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from k40s.http.tls import TlsFiles, client_context

LIMIT = 10.0
"""Seconds after which a call counts as unanswered."""


@dataclass(frozen=True, kw_only=True)
class Server:
    name: str
    pid: int
    port: int
    probe_port: int | None
    server_name: str
    files: TlsFiles
    method: str
    path: str
    body: bytes

    def threads(self) -> int:
        """Of the worker, which is the child."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        status = Path(f"/proc/{children[0]}/status").read_text()
        return int(status.partition("Threads:")[2].split()[0])


def connect(server: Server, context: ssl.SSLContext) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sock = context.wrap_socket(raw, server_hostname=server.server_name)
    return connection


Held = list[socket.socket]


@dataclass
class Attack:
    """``begin`` opens connections, ``go_on`` is called again and again while they are held."""

    begin: Callable[[], Held]
    go_on: Callable[[Held], None] = field(default=lambda _held: time.sleep(0.05))


def attacks(server: Server) -> dict[str, Attack | None]:
    port = server.port
    hello = client_hello(server)
    known = client_context(server.files)
    head = f"{server.method} {server.path} HTTP/1.1\r\nHost: x\r\n".encode()
    whole = head + f"Content-Length: {len(server.body)}\r\n\r\n".encode() + server.body
    body = head + b"Content-Length: 100000\r\n\r\n"
    found: dict[str, Attack | None] = {
        "none": None,
        "400 silent": Attack(lambda: open_many(port, 400)),
        "1500 silent": Attack(lambda: open_many(port, 1500)),
        "400 half a hello": Attack(lambda: open_many(port, 400, hello[: len(hello) // 2])),
        "400 stop after the hello": Attack(lambda: open_many(port, 400, hello)),
        "connect and close, without pause": Attack(list, lambda _held: churn(port)),
        "handshakes without certificate, without pause": Attack(
            list, lambda _held: handshake_without_certificate(server)
        ),
        "known client: 40 slow heads": Attack(lambda: known_many(server, known, 40, head), trickle),
        "known client: 40 slow bodies": Attack(
            lambda: known_many(server, known, 40, body), trickle
        ),
        "known client: 40 that ask without pause and never read": Attack(
            lambda: known_many(server, known, 40, b""), lambda held: flood(held, whole)
        ),
    }
    if server.probe_port is not None:
        probes = server.probe_port
        found |= {
            "probe port, none": None,
            "probe port, 3000 silent": Attack(lambda: open_many(probes, 3000)),
            "probe port, 400 slow heads": Attack(
                lambda: open_many(probes, 400, b"GET /met"), trickle
            ),
            "API, with 3000 silent at the probe port": Attack(lambda: open_many(probes, 3000)),
        }
    return found


@contextmanager
def attacking(attack: Attack | None) -> Iterator[Callable[[float], int]]:
    """Yields a function that waits, ends the attack and returns the number of open connections."""
    if attack is None:
        yield lambda _rest: 0
        return
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=run, args=(attack, theirs))
    process.start()
    try:
        ours.recv()

        def left(rest: float) -> int:
            time.sleep(rest)
            ours.send("count")
            return int(ours.recv())

        yield left
    finally:
        process.kill()
        process.join()


def run(attack: Attack, pipe: Connection) -> None:
    held = attack.begin()
    pipe.send("begun")
    while not pipe.poll():
        attack.go_on(held)
    pipe.recv()
    pipe.send(sum(map(is_open, held)))


def is_open(sock: socket.socket) -> bool:
    """Whether the server has ended its side, whatever it has sent before."""
    try:
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        raw.settimeout(0)
        while raw.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def open_many(port: int, count: int, said: bytes = b"") -> Held:
    held = []
    for _ in range(count):
        one = socket.socket()
        one.settimeout(0)
        one.connect_ex(("127.0.0.1", port))
        held.append(one)
    for one in held:
        poller = select.poll()
        poller.register(one, select.POLLOUT)
        poller.poll(2000)
        with suppress(OSError):
            one.send(said)
    return held


def known_many(server: Server, context: ssl.SSLContext, count: int, said: bytes) -> Held:
    held: Held = []
    for _ in range(count):
        with suppress(OSError):
            sock = connect(server, context).sock
            sock.sendall(said)
            sock.settimeout(0)
            held.append(sock)
    return held


def trickle(held: Held) -> None:
    for one in held:
        with suppress(OSError):
            one.send(b"x")
    time.sleep(0.5)


def flood(held: Held, data: bytes) -> None:
    for one in held:
        with suppress(OSError):
            one.send(data)
    time.sleep(0.002)


def churn(port: int) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


def handshake_without_certificate(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.files.ca))
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", server.port), timeout=1) as raw,
        context.wrap_socket(raw, server_hostname=server.server_name) as tls,
    ):
        tls.recv(1)


def client_hello(server: Server) -> bytes:
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(server.files).wrap_bio(inward, outward, server_hostname=server.server_name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outward.read()
