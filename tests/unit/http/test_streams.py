"""Streams: turned by hand, over pairs of sockets, with a clock of the test."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from k40s.http.connections.streams import Stream, StreamLoop


class World:
    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo
        self.now = 0.0
        self.ended = 0
        self.loop = StreamLoop(silence=15.0, clock=lambda: self.now)
        undo.callback(self.loop.close)

    def connect(self) -> tuple[socket.socket, Stream]:
        ours, theirs = socket.socketpair()
        self._undo.enter_context(theirs)
        theirs.settimeout(60)
        ours.settimeout(0)
        stream = self.loop.add(ours, b"head;", idle=b"idle;", on_end=self.count)
        self.loop.run_once(0)
        return theirs, stream

    def count(self) -> None:
        self.ended += 1


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as undo:
        yield World(undo)


def test_sends_the_head_and_then_each_message(world: World) -> None:
    client, stream = world.connect()

    stream.send(b"one;")
    world.loop.run_once(0)
    stream.send(b"two;")
    world.loop.run_once(0)

    assert client.recv(100) == b"head;one;two;"


def test_a_silent_stream_sends_its_idle_message(world: World) -> None:
    client, _ = world.connect()

    for _ in range(3):
        world.now += 10
        world.loop.run_once(0)

    assert client.recv(100) == b"head;idle;"


def test_a_client_that_leaves_ends_its_stream_once(world: World) -> None:
    client, _ = world.connect()

    client.close()
    world.loop.run_once(0)
    world.loop.run_once(0)

    assert (world.ended, len(world.loop)) == (1, 0)


def test_an_ended_stream_is_closed(world: World) -> None:
    client, stream = world.connect()

    stream.end()
    world.loop.run_once(0)

    assert client.recv(100) == b"head;"
    assert client.recv(100) == b""
    assert world.ended == 1


def test_a_slow_client_gets_the_newest_message_after_the_one_that_has_begun(world: World) -> None:
    client, stream = world.connect()
    large = b"x" * (1 << 22)
    stream.send(large)
    world.loop.run_once(0)

    for text in (b"old;", b"new;"):
        stream.send(text)
        world.loop.run_once(0)
    received = b""
    while not received.endswith(b";") or len(received) < len(large):
        received += client.recv(1 << 20)
        world.loop.run_once(0)

    assert received == b"head;" + large + b"new;"


def test_a_client_that_takes_nothing_is_closed(world: World) -> None:
    _, stream = world.connect()
    stream.send(b"x" * (1 << 24))
    world.loop.run_once(0)

    world.now += 31
    world.loop.run_once(0)

    assert (world.ended, len(world.loop)) == (1, 0)


def test_what_a_client_sends_is_dropped(world: World) -> None:
    client, _ = world.connect()

    client.sendall(b"x" * 1000)
    world.loop.run_once(0)

    assert len(world.loop) == 1


def test_closing_ends_streams_that_have_not_begun(world: World) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    loop = StreamLoop(silence=15.0)
    loop.add(ours, b"head", idle=b"", on_end=world.count)

    loop.close()

    with theirs:
        assert theirs.recv(1) == b""
    assert world.ended == 1
