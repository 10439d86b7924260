"""The accept loop, step by step, with real sockets on loopback and a clock that stands still."""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from k40s.http.connections.accept_loop import AcceptLoop
from k40s.http.connections.nonblocking_io import (
    ConnectionCoroutine,
    ConnectionHandler,
    linger,
    receive,
    send,
)
from k40s.http.listening import Host, listen

TIMEOUT = 5.0


class World:
    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo
        self.now = 0.0
        (self.listener,) = listen(Host("127.0.0.1"), 0)
        undo.enter_context(self.listener)
        self.handled: list[object] = []
        self.authenticated: list[socket.socket] = []

    def accept_loop(
        self, handler: ConnectionHandler | None = None, *, limit: int = 100, listener: object = None
    ) -> AcceptLoop:
        accept_loop = AcceptLoop(
            [listener or self.listener],  # type: ignore[list-item]
            handler or self.echo,
            name="test",
            limit=limit,
            timeout=TIMEOUT,
            clock=lambda: self.now,
        )
        accept_loop.start_accepting()
        self._undo.callback(accept_loop.close)
        return accept_loop

    def connect(self, count: int = 1) -> list[socket.socket]:
        return [
            self._undo.enter_context(socket.create_connection(self.listener.getsockname()))
            for _ in range(count)
        ]

    def echo(self, raw: socket.socket, address: object) -> ConnectionCoroutine:
        """Say back what was said first."""
        self.handled.append(address)
        try:
            said = yield from receive(raw)
            yield from send(raw, said)
            yield from linger(raw)
        finally:
            raw.close()
        return None


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as undo:
        yield World(undo)


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.settimeout(60)


def run_until(accept_loop: AcceptLoop, condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        accept_loop.run_once()
    pytest.fail("it never came true")


def test_answers_who_speaks_beside_many_that_are_silent(world: World) -> None:
    accept_loop = world.accept_loop()
    world.connect(50)
    (client,) = world.connect()
    client.sendall(b"hello")

    run_until(accept_loop, lambda: len(world.handled) == 51)
    accept_loop.run_once()

    assert client.recv(10) == b"hello"
    assert len(accept_loop) == 51


def test_closes_who_stays_longer_than_the_patience_and_nobody_else(world: World) -> None:
    accept_loop = world.accept_loop()
    (silent,) = world.connect()
    run_until(accept_loop, lambda: len(accept_loop) == 1)
    world.now = TIMEOUT - 1
    (later,) = world.connect()
    run_until(accept_loop, lambda: len(accept_loop) == 2)

    world.now = TIMEOUT
    run_until(accept_loop, lambda: len(accept_loop) == 1)

    assert is_closed(silent)
    assert not is_closed(later)


def test_the_patience_is_not_renewed_by_a_byte_now_and_then(world: World) -> None:
    def handle(raw: socket.socket, _address: object) -> ConnectionCoroutine:
        try:
            while (yield from receive(raw, 1)):
                pass
        finally:
            raw.close()
        return None

    accept_loop = world.accept_loop(handle)
    (client,) = world.connect()
    run_until(accept_loop, lambda: len(accept_loop) == 1)
    for _ in range(5):
        client.sendall(b"x")
        world.now += 1
        accept_loop.run_once()

    assert len(accept_loop) == 0


def test_closes_the_oldest_when_there_are_too_many(world: World) -> None:
    accept_loop = world.accept_loop(limit=3)
    clients = world.connect(5)

    run_until(accept_loop, lambda: len(world.handled) == 5)

    assert [is_closed(client) for client in clients] == [True, True, False, False, False]
    assert len(accept_loop) == 3


def test_lets_go_of_who_is_welcome_before_it_is_taken_over(world: World) -> None:
    def handle(raw: socket.socket, _address: object) -> ConnectionCoroutine:
        yield from receive(raw)
        return lambda: world.authenticated.append(raw)

    accept_loop = world.accept_loop(handle)
    (client,) = world.connect()
    client.sendall(b"x")
    run_until(accept_loop, lambda: bool(world.authenticated))

    (authenticated,) = world.authenticated
    with authenticated:
        authenticated.sendall(b"in")
        assert (len(accept_loop), client.recv(2)) == (0, b"in")


def test_a_handler_that_fails_ends_its_own_connection_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(raw: socket.socket, _address: object) -> ConnectionCoroutine:
        with raw:
            raise ZeroDivisionError
            yield 0

    accept_loop = world.accept_loop(handle)
    clients = world.connect(2)
    run_until(accept_loop, lambda: len(caplog.records) == 2)

    assert all(map(is_closed, clients))
    assert {record.message for record in caplog.records} == {"connection handler failed"}


class Exhausted:
    """A listener of a process that has no file left, so many times."""

    def __init__(self, real: socket.socket, failures: int) -> None:
        self._real = real
        self.failures = failures

    def fileno(self) -> int:
        return self._real.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures and self._real.fileno() >= 0:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()


def test_makes_room_when_no_file_is_left(world: World, caplog: pytest.LogCaptureFixture) -> None:
    listener = Exhausted(world.listener, 0)
    accept_loop = world.accept_loop(listener=listener)
    (first,) = world.connect()
    run_until(accept_loop, lambda: len(accept_loop) == 1)
    listener.failures = 1

    (second,) = world.connect()
    run_until(accept_loop, lambda: len(world.handled) == 2)

    assert is_closed(first)
    assert not is_closed(second)
    assert "no file descriptor left" in caplog.text


def test_rests_when_no_file_is_left_and_nobody_can_go(world: World) -> None:
    listener = Exhausted(world.listener, 1)
    accept_loop = world.accept_loop(listener=listener)
    world.connect()

    accept_loop.run_once()
    assert (listener.failures, len(accept_loop)) == (0, 0)
    world.now += 1
    run_until(accept_loop, lambda: len(accept_loop) == 1)


def test_tells_of_a_flood_once_in_a_while(world: World, caplog: pytest.LogCaptureFixture) -> None:
    accept_loop = world.accept_loop(limit=1)
    world.connect(20)
    run_until(accept_loop, lambda: len(world.handled) == 20)

    world.now += 1
    assert len(caplog.records) == 1
    assert caplog.records[0].source == "127.0.0.1"  # type: ignore[attr-defined]


def test_closes_everything_when_it_stops(world: World) -> None:
    before = threading.active_count()
    accept_loop = AcceptLoop([world.listener], world.echo, name="test", limit=9, timeout=60)
    accept_loop.start()
    clients = world.connect(3)
    for client in clients:
        client.sendall(b"x")
        assert client.recv(1) == b"x"

    accept_loop.stop()

    assert all(map(is_closed, clients))
    assert threading.active_count() == before
