"""The actuator's socket, with real connections of this process."""

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.malacoda.actuator.protocol import Request, Verb, format_request
from daemons.malacoda.actuator.server import Server
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.actuator import TENTH, Machine
from tests.fakes.malacoda.kernel import uid

THROTTLE = Request(verb=Verb.THROTTLE, uid=uid(1), pod="default/noisy", quota=TENTH)
KEEP = Request(verb=Verb.KEEP)


class World:
    """An actuator, its server, and a peer of our own user."""

    def __init__(self, path: Path, *, peer: int | None = None) -> None:
        self.machine = Machine()
        self.pod = self.machine.kernel.pod(uid(1))
        self.path = path
        self.server = Server(
            self.machine.actuator,
            path=path,
            peer=os.geteuid() if peer is None else peer,
            silence=Nanoseconds(5 * NS_PER_S),
            clock=self.machine.clock,
        )
        self.peers: list[socket.socket] = []

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(60)
        peer.connect(str(self.path))
        self.peers.append(peer)
        self.server.turn(0)
        return peer

    def ask(self, peer: socket.socket, request: Request | bytes) -> dict[str, Any]:
        line = request if isinstance(request, bytes) else format_request(request)
        peer.sendall(line)
        self.server.turn(0)
        text = peer.recv(65536)
        answer: dict[str, Any] = json.loads(text) if text else {"result": "closed"}
        return answer

    @property
    def throttled(self) -> bool:
        return self.machine.kernel.quota(self.pod) != "-1"

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.server.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "actuator.sock"


@pytest.fixture
def world(path: Path) -> Iterator[World]:
    world = World(path)
    yield world
    world.close()


def test_a_request_is_carried_out_and_answered(world: World) -> None:
    answer = world.ask(world.connect(), THROTTLE)

    assert answer["result"] == "done"
    assert answer["held"] == [{"uid": uid(1), "pod": "default/noisy", "steps": ["quota"]}]
    assert world.throttled


def test_several_requests_may_come_in_one_piece_and_one_in_several(world: World) -> None:
    peer = world.connect()
    whole = format_request(THROTTLE)
    peer.sendall(whole[:20])
    world.server.turn(0)
    assert not world.throttled

    peer.sendall(whole[20:] + format_request(KEEP))
    world.server.turn(0)

    answers = peer.recv(65536).splitlines()
    assert [json.loads(answer)["result"] for answer in answers] == ["done", "done"]


def test_everything_is_undone_when_the_monitor_is_gone(world: World) -> None:
    peer = world.connect()
    world.ask(peer, THROTTLE)

    peer.close()
    world.server.turn(0)

    assert not world.throttled
    assert world.ask(world.connect(), KEEP)["held"] == []


def test_everything_is_undone_when_the_monitor_is_silent(world: World) -> None:
    peer = world.connect()
    world.ask(peer, THROTTLE)
    for _ in range(4):
        world.machine.clock.pass_seconds(4)
        world.ask(peer, KEEP)
    assert world.throttled

    world.machine.clock.pass_seconds(5)
    world.server.turn(0)

    assert not world.throttled
    assert world.ask(peer, KEEP)["held"] == []


def test_what_is_no_request_does_not_count_as_life(world: World) -> None:
    peer = world.connect()
    world.ask(peer, THROTTLE)
    world.machine.clock.pass_seconds(4)
    answer = world.ask(peer, b'{"do":"hello"}\n')
    assert (answer["result"], answer["reason"]) == ("refused", "invalid")
    assert "expected" in answer["text"]

    world.machine.clock.pass_seconds(1)
    world.server.turn(0)

    assert not world.throttled


def test_a_line_without_an_end_closes_the_connection_and_undoes_everything(world: World) -> None:
    peer = world.connect()
    world.ask(peer, THROTTLE)

    for _ in range(2):
        peer.sendall(b"x" * 1000)
        world.server.turn(0)

    assert peer.recv(10) == b""
    assert not world.throttled


def test_another_user_is_refused(path: Path) -> None:
    world = World(path, peer=os.geteuid() + 1)
    peer = world.connect()

    assert peer.recv(10) == b""
    world.close()


def test_there_is_one_peer_at_a_time(world: World) -> None:
    first = world.connect()
    world.ask(first, THROTTLE)

    second = world.connect()

    assert second.recv(10) == b""
    assert world.ask(first, KEEP)["result"] == "done"
    assert world.throttled


def test_a_peer_that_takes_no_answers_is_let_go(world: World) -> None:
    peer = world.connect()
    world.ask(peer, THROTTLE)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sendall(format_request(KEEP))
    peer.close()

    world.server.turn(0)
    world.server.turn(0)

    assert not world.throttled


def test_the_socket_is_for_its_group_alone_and_goes_with_the_process(path: Path) -> None:
    path.write_text("left by a process that was killed")
    world = World(path)

    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o660
    world.close()
    assert not path.exists()


def test_holds_are_looked_after_between_requests(world: World) -> None:
    peer = world.connect()
    world.ask(peer, THROTTLE)
    world.machine.kernel.set_quota(world.pod, "-1")
    world.ask(peer, KEEP)

    world.machine.clock.pass_seconds(1)
    world.server.turn(0)

    assert world.throttled
