"""Connections of known clients: turned by hand, over pairs of sockets, with a clock of the test."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from k40s.http.connections.http_connection import HttpConnection, State
from k40s.http.connections.worker_pool import LIMITS, WorkerPool

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"


class World:
    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo
        self.now = 0.0
        self.asked: list[bytes] = []
        self.keep = True
        self.response = b"answer"
        self.running = threading.Event()
        self.proceed = threading.Event()
        self.proceed.set()
        self.worker_pool = self.open()

    def open(self, *, threads: int = 2, limit: int = 100) -> WorkerPool:
        worker_pool = WorkerPool(
            self.answer,
            threads=threads,
            limit=limit,
            max_body=1000,
            clock=lambda: self.now,
            keep=0,
        )
        self._undo.callback(worker_pool.close)
        return worker_pool

    def answer(self, request: bytes, _connection: HttpConnection) -> tuple[bytes, bool]:
        self.asked.append(request)
        self.running.set()
        assert self.proceed.wait(60)
        return self.response, self.keep

    def connect(self, said: bytes = b"", worker_pool: WorkerPool | None = None) -> socket.socket:
        """A client, known and parked."""
        mine = self.worker_pool if worker_pool is None else worker_pool
        ours, theirs = socket.socketpair()
        self._undo.enter_context(theirs)
        theirs.settimeout(60)
        ours.settimeout(0)
        theirs.sendall(said)
        mine.add(ours, "")
        return theirs

    def run_until(self, until: Callable[[], bool], worker_pool: WorkerPool | None = None) -> None:
        mine = self.worker_pool if worker_pool is None else worker_pool
        for _ in range(1000):
            if until():
                return
            mine.run_once(0.01)
        pytest.fail("it never came true")

    def ask(self, client: socket.socket) -> bytes:
        asked = len(self.asked)
        client.sendall(REQUEST)
        self.run_until(lambda: len(self.asked) > asked)
        return client.recv(100)

    def settle(self, worker_pool: WorkerPool | None = None) -> None:
        """Until nothing is in a thread's hands."""
        mine = self.worker_pool if worker_pool is None else worker_pool
        self.run_until(lambda: mine.is_idle, mine)


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as undo:
        yield World(undo)


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        while client.recv(1 << 20):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.settimeout(60)
    return True


def test_answers_one_question_after_another_on_one_connection(world: World) -> None:
    client = world.connect()

    assert [world.ask(client) for _ in range(5)] == [b"answer"] * 5


def test_answers_requests_that_came_together_in_their_order(world: World) -> None:
    client = world.connect(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")

    world.run_until(lambda: len(world.asked) == 2)

    assert [request[:6] for request in world.asked] == [b"GET /1", b"GET /2"]
    world.settle()
    assert client.recv(100) == b"answeranswer"


def test_keeps_an_idle_connection_longer_than_the_scheduler_does(world: World) -> None:
    client = world.connect()
    world.ask(client)
    world.settle()

    world.now += 100
    world.worker_pool.run_once(0)

    assert world.ask(client) == b"answer"


@pytest.mark.parametrize(
    ("said", "state"),
    [(b"", State.IDLE), (b"POST / HT", State.HEAD), (HEAD + b"half", State.BODY)],
)
def test_each_phase_has_its_own_bound(world: World, said: bytes, state: State) -> None:
    client = world.connect(said)
    world.settle()

    world.now = LIMITS[state] - 1
    world.worker_pool.run_once(0)
    assert not is_closed(client)
    world.now = LIMITS[state]
    world.worker_pool.run_once(0)

    assert is_closed(client)
    assert world.asked == []


def test_a_byte_now_and_then_does_not_renew_the_bound(world: World) -> None:
    client = world.connect(b"P")
    world.settle()
    for _ in range(int(LIMITS[State.HEAD])):
        client.sendall(b"x")
        world.worker_pool.run_once(1)
        world.settle()
        world.now += 1
    world.worker_pool.run_once(0)

    assert is_closed(client)


def test_half_requests_hold_no_thread(world: World) -> None:
    for said in (b"POST / HT", HEAD + b"half", b""):
        for _ in range(10):
            world.connect(said)
    world.settle()

    assert world.ask(world.connect()) == b"answer"


def test_who_does_not_read_holds_no_thread_and_is_dropped(world: World) -> None:
    world.response = b"x" * (8 << 20)
    deaf = [world.connect(REQUEST) for _ in range(4)]
    world.settle()
    assert len(world.asked) == 4
    world.response = b"answer"

    assert world.ask(world.connect()) == b"answer"
    world.now = LIMITS[State.RESPONSE]
    world.worker_pool.run_once(0)
    assert all(map(is_closed, deaf))


def test_who_reads_slowly_gets_the_whole_answer(world: World) -> None:
    world.response = b"x" * (4 << 20)
    client = world.connect(REQUEST)
    received = 0
    while received < len(world.response):
        world.worker_pool.run_once(0)
        world.settle()
        received += len(client.recv(1 << 16))

    assert received == len(world.response)


def test_a_client_that_has_said_its_last_word_is_still_answered(world: World) -> None:
    client = world.connect(REQUEST)
    client.shutdown(socket.SHUT_WR)

    world.run_until(lambda: bool(world.asked))

    assert client.recv(100) == b"answer"
    world.run_until(lambda: len(world.worker_pool) == 0)


def test_the_last_answer_ends_the_connection(world: World) -> None:
    world.keep = False
    client = world.connect(REQUEST + REQUEST)

    world.run_until(lambda: bool(world.asked))
    world.settle()

    assert client.recv(100) == b"answer"
    assert client.recv(100) == b""
    client.close()
    world.run_until(lambda: len(world.worker_pool) == 0)
    assert len(world.asked) == 1


def test_a_client_that_does_not_end_its_side_is_not_waited_for(world: World) -> None:
    world.keep = False
    world.connect(REQUEST)
    world.run_until(lambda: bool(world.asked))
    world.settle()

    world.now = LIMITS[State.CLOSING]
    world.worker_pool.run_once(0)

    assert len(world.worker_pool) == 0


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", b"HTTP/1.1 413 "),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 400 "),
        (b"x" * 40_000, b"HTTP/1.1 431 "),
    ],
)
def test_refuses_without_the_application_what_is_not_to_be_read(
    world: World, said: bytes, status: bytes
) -> None:
    client = world.connect(said)
    world.settle()

    assert client.recv(1000).startswith(status)
    assert world.asked == []


def test_tells_a_client_to_go_on_once(world: World) -> None:
    head = HEAD[:-2] + b"Expect: 100-continue\r\n\r\n"
    client = world.connect(head)
    world.settle()
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

    client.sendall(b"123456789")
    world.run_until(lambda: bool(world.asked))

    world.settle()
    assert client.recv(100) == b"answer"


def test_a_new_client_takes_the_place_of_the_one_that_was_idle_longest(world: World) -> None:
    small = world.open(limit=3)
    clients = []
    for _ in range(5):
        clients.append(world.connect(b"", small))
        world.settle(small)
        world.now += 1

    assert [is_closed(client) for client in clients] == [True, True, False, False, False]
    assert len(small) == 3


def test_only_so_many_bodies_are_waited_for_at_once(world: World) -> None:
    small = world.open(threads=1)
    clients = []
    for _ in range(6):
        clients.append(world.connect(HEAD + b"half", small))
        world.settle(small)
        world.now += 1

    assert [is_closed(client) for client in clients] == [True, True, *[False] * 4]


def test_a_stopping_server_finishes_what_runs_and_drops_what_is_idle(world: World) -> None:
    idle = world.connect()
    world.settle()
    world.proceed.clear()
    busy = world.connect(REQUEST)
    world.run_until(world.running.is_set)

    world.worker_pool.drain(world.now)
    world.worker_pool.run_once(0)
    assert is_closed(idle)
    world.keep = False
    world.proceed.set()
    world.settle()

    assert busy.recv(100) == b"answer"


def test_a_fault_ends_its_own_connection_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.response = None  # type: ignore[assignment]
    broken = world.connect(REQUEST)
    world.run_until(lambda: len(world.worker_pool) == 0)
    world.response = b"answer"

    assert is_closed(broken)
    assert caplog.records[0].message == "connection failed"
    assert world.ask(world.connect()) == b"answer"


def test_one_that_asks_without_pause_does_not_keep_others_waiting(world: World) -> None:
    one = world.open(threads=1)
    world.proceed.clear()
    greedy = b"GET /greedy HTTP/1.1\r\n\r\n" * 50
    world.connect(greedy, one)
    world.run_until(world.running.is_set, one)
    world.connect(b"GET /modest HTTP/1.1\r\n\r\n", one)
    one.run_once(0)
    world.proceed.set()

    world.run_until(lambda: len(world.asked) == 51, one)

    assert [request[:11] for request in world.asked].index(b"GET /modest") <= 2


def test_a_connection_that_is_taken_over_leaves_the_pool_open(world: World) -> None:
    taken: list[socket.socket] = []

    def answer(_request: bytes, connection: HttpConnection) -> tuple[bytes, bool]:
        connection.taker = taken.append
        return b"dropped", True

    pool = WorkerPool(answer, threads=1, limit=10, max_body=1000, clock=lambda: world.now, keep=0)
    client = world.connect(REQUEST, pool)
    world.run_until(lambda: bool(taken) and pool.is_idle, pool)

    assert len(pool) == 0
    pool.close()
    taken[0].sendall(b"stream")
    assert client.recv(100) == b"stream"
    taken[0].close()
