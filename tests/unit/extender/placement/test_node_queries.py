"""Asking many nodes at once, and waiting for none beyond the deadline."""

import threading
import time
from collections.abc import Callable

import pytest

from extender.placement.node_queries import (
    CALL_TIMEOUT,
    CALLS_AT_ONCE,
    LONGEST_BACK_OFF,
    RETRIES,
    UNRELIABLE_AFTER,
    Answers,
    NodeQueries,
)
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.node_api.client import DaemonError, RubicanteClient
from k40s.node_api.messages import (
    AdmissionAnswer,
    PodRef,
    ReservationRequest,
    format_admission_answer,
)
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds

REFUSED = AdmissionAnswer(
    schedulable=False, reason=Reason.CPU_NO_BANDWIDTH, utilization={}, generation=1
)
REQUEST = ReservationRequest(
    pod=PodRef(uid="u", namespace="n", name="p"), workload=Workload(criticality=Criticality.HI)
)
PATIENCE = 120 * NS_PER_S
"""Ends a test that hangs, and is never waited for."""


def accept(_name: str, _answer: AdmissionAnswer) -> None:
    """Late, and no matter."""


def ignore(name: str, _answer: AdmissionAnswer) -> None:
    raise AssertionError(f"{name} was late")


class Nodes:
    """What each endpoint does when it is asked."""

    def __init__(self, **behaviour: Callable[[], AdmissionAnswer]) -> None:
        self.behaviour = behaviour
        self.asked: list[str] = []

    def query_admission(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        assert request is REQUEST
        self.asked.append(endpoint)
        assert timeout == CALL_TIMEOUT
        return self.behaviour[endpoint]()


def _answered(found: Answers) -> Answers:
    """Without the nodes that gave no answer."""
    return {name: said for name, said in found.items() if not isinstance(said, Reason)}


def answer() -> AdmissionAnswer:
    return REFUSED


def fail() -> AdmissionAnswer:
    raise DaemonError("no route", reason=Reason.CPU_DAEMON_SILENT)


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_nodes_are_asked_at_the_same_time() -> None:
    everyone = threading.Barrier(3)

    def meet() -> AdmissionAnswer:
        everyone.wait(120)
        return REFUSED

    queries = NodeQueries(nodes=Nodes(a=meet, b=meet, c=meet), clock=time.monotonic_ns)

    answers = queries.ask(
        {"n1": "a", "n2": "b", "n3": "c"}, REQUEST, time.monotonic_ns() + PATIENCE, ignore
    )()

    assert answers == {"n1": REFUSED, "n2": REFUSED, "n3": REFUSED}


def test_what_is_late_is_not_waited_for_and_not_lost() -> None:
    let_go, answered, arrived = threading.Event(), threading.Event(), threading.Event()
    late: list[str] = []

    def hang() -> AdmissionAnswer:
        let_go.wait(120)
        return REFUSED

    def tell() -> AdmissionAnswer:
        answered.set()
        return REFUSED

    def take(name: str, _answer: AdmissionAnswer) -> None:
        late.append(name)
        arrived.set()

    nodes, clock = Nodes(a=hang, b=tell), Clock()
    queries = NodeQueries(nodes=nodes, clock=clock)
    collect = queries.ask({"slow": "a", "quick": "b"}, REQUEST, 1, take)
    answered.wait(120)
    clock.now = 1
    in_time = collect()
    meanwhile = queries.ask({"slow": "a"}, REQUEST, clock.now + PATIENCE, take)()
    let_go.set()
    arrived.wait(120)
    again = queries.ask({"slow": "a"}, REQUEST, clock.now + PATIENCE, take)()

    assert in_time["slow"] is Reason.CPU_DAEMON_BUSY
    assert meanwhile == {"slow": Reason.CPU_DAEMON_BUSY}
    assert "slow" in late
    assert again == {"slow": REFUSED}


def test_a_node_that_failed_rests_before_it_is_asked_again() -> None:
    nodes, clock = Nodes(a=fail, b=answer), Clock()
    queries = NodeQueries(nodes=nodes, clock=clock, back_off=Nanoseconds(NS_PER_S))
    endpoints = {"n1": "a", "n2": "b"}

    first = queries.ask(endpoints, REQUEST, PATIENCE, ignore)()
    nodes.behaviour["a"] = answer
    backing_off = queries.ask(endpoints, REQUEST, PATIENCE, ignore)()
    clock.now = NS_PER_S
    later = queries.ask(endpoints, REQUEST, PATIENCE, ignore)()

    assert (first, backing_off, later) == (
        {"n1": Reason.CPU_DAEMON_SILENT, "n2": REFUSED},
        {"n1": Reason.CPU_DAEMON_SILENT, "n2": REFUSED},
        {"n1": REFUSED, "n2": REFUSED},
    )
    assert nodes.asked.count("a") == 2


def test_a_node_that_fails_again_rests_twice_as_long() -> None:
    nodes, clock = Nodes(a=fail), Clock()
    queries = NodeQueries(nodes=nodes, clock=clock, back_off=Nanoseconds(NS_PER_S))

    seconds = []
    for second in range(16):
        clock.now = second * NS_PER_S
        before = len(nodes.asked)
        queries.ask({"n": "a"}, REQUEST, clock.now + PATIENCE, ignore)()
        if len(nodes.asked) > before:
            seconds.append(second)

    assert seconds == [0, 1, 3, 7, 15]


def test_silent_nodes_get_few_threads_and_only_beside_those_that_answer() -> None:
    let_go, started, clock = threading.Event(), threading.Semaphore(0), Clock()

    def hang() -> AdmissionAnswer:
        started.release()
        let_go.wait(120)
        raise DaemonError("reset", reason=Reason.CPU_DAEMON_SILENT)

    silent = {f"s{number}": "a" for number in range(CALLS_AT_ONCE)}
    nodes = Nodes(a=fail, b=answer)
    queries = NodeQueries(nodes=nodes, clock=clock, back_off=Nanoseconds(NS_PER_S))
    for _ in range(UNRELIABLE_AFTER):
        queries.ask(silent, REQUEST, clock.now + PATIENCE, ignore)()
        clock.now += 2 * NS_PER_S
    nodes.behaviour["a"] = hang
    nodes.asked.clear()

    collect = queries.ask(silent | {"good": "b"}, REQUEST, clock.now + 1, accept)
    for _ in range(RETRIES):
        started.acquire(timeout=120)
    more = queries.ask({"new": "b"} | silent, REQUEST, clock.now + NS_PER_S, ignore)()
    clock.now += 1
    first = collect()
    let_go.set()

    assert _answered(more) == {"new": REFUSED}
    assert _answered(first) == {"good": REFUSED}
    assert nodes.asked.count("a") == RETRIES


def test_every_silent_node_has_its_turn_however_many_there_are() -> None:
    silent = {f"s{number}": f"e{number}" for number in range(2 * RETRIES)}
    nodes, clock = Nodes(**dict.fromkeys(silent.values(), fail)), Clock()
    queries = NodeQueries(nodes=nodes, clock=clock)
    for _ in range(UNRELIABLE_AFTER):
        queries.ask(silent, REQUEST, clock.now + PATIENCE, ignore)()
        clock.now += LONGEST_BACK_OFF
    nodes.asked.clear()

    for _ in range(2):
        queries.ask(silent, REQUEST, clock.now + PATIENCE, ignore)()
        clock.now += LONGEST_BACK_OFF

    assert sorted(nodes.asked) == sorted(silent.values())


def test_a_node_whose_turn_did_not_come_is_asked_the_next_time() -> None:
    let_go, started = threading.Event(), threading.Event()

    def hang() -> AdmissionAnswer:
        started.set()
        let_go.wait(120)
        return REFUSED

    nodes, clock = Nodes(a=hang, b=answer), Clock()
    queries = NodeQueries(nodes=nodes, clock=clock, calls=1)
    collect = queries.ask({"first": "a", "second": "b"}, REQUEST, 1, accept)
    started.wait(120)
    clock.now = 1
    assert collect() == {"first": Reason.CPU_DAEMON_BUSY}
    let_go.set()

    again = queries.ask({"second": "b"}, REQUEST, clock.now + PATIENCE, ignore)()

    assert again == {"second": REFUSED}


def test_a_node_that_never_ends_its_answer_occupies_one_call() -> None:
    let_go, started, clock = threading.Event(), threading.Event(), Clock()

    def trickle() -> AdmissionAnswer:
        started.set()
        let_go.wait(120)
        return REFUSED

    nodes = Nodes(a=trickle, b=trickle)
    queries = NodeQueries(nodes=nodes, clock=clock, calls=2, back_off=Nanoseconds(NS_PER_S))
    collect = queries.ask({"slow": "a"}, REQUEST, 1, accept)
    started.wait(120)
    clock.now = 1
    collect()
    clock.now = NS_PER_S * 3600

    moved = queries.ask({"slow": "b"}, REQUEST, clock.now + PATIENCE, ignore)()
    let_go.set()

    assert moved == {"slow": Reason.CPU_DAEMON_BUSY}
    assert nodes.asked == ["a"]


def test_a_node_that_fails_late_is_asked_again_after_its_rest() -> None:
    let_go, started, clock = threading.Event(), threading.Event(), Clock()

    def fail_late() -> AdmissionAnswer:
        started.set()
        let_go.wait(120)
        raise DaemonError("reset", reason=Reason.CPU_DAEMON_SILENT)

    nodes = Nodes(a=fail_late)
    queries = NodeQueries(nodes=nodes, clock=clock, calls=1, back_off=Nanoseconds(NS_PER_S))
    collect = queries.ask({"n": "a"}, REQUEST, 1, ignore)
    started.wait(120)
    clock.now = 1
    collect()
    nodes.behaviour["a"] = answer
    let_go.set()

    found = {}
    for _ in range(12_000):
        clock.now += NS_PER_S
        found = dict(queries.ask({"n": "a"}, REQUEST, clock.now + PATIENCE, ignore)())
        if _answered(found):
            break
        threading.Event().wait(0.01)
    assert found == {"n": REFUSED}


def test_nobody_is_asked_after_the_deadline() -> None:
    nodes = Nodes(a=answer)
    queries = NodeQueries(nodes=nodes, clock=lambda: 7)

    assert queries.ask({"n": "a"}, REQUEST, 7, ignore)() == {}
    assert nodes.asked == []


class Answering:
    """A node's API."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        self.calls: list[tuple[str, str, object]] = []

    def request(
        self, method: str, url: str, body: bytes | None = None, *, timeout: object = None
    ) -> tuple[int, bytes]:
        assert body is not None
        self.calls.append((method, url, timeout))
        return self.status, self.body


def test_the_client_posts_and_reads_the_answer() -> None:
    node = Answering(200, format_admission_answer(REFUSED))

    answered = RubicanteClient(node).query_admission("https://x:1", REQUEST, timeout=Nanoseconds(9))

    assert answered == REFUSED
    assert node.calls == [("POST", "https://x:1/v1/admission", 9)]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"{}"),
        (409, format_admission_answer(REFUSED)),
        (200, b"yes"),
        (200, b"{}"),
        (200, format_admission_answer(REFUSED).replace(b"no-bandwidth", b"unheard-of")),
        (
            200,
            format_admission_answer(REFUSED)
            .replace(b"false", b"true")
            .replace(b'"cpu.no-bandwidth"', b"null"),
        ),
    ],
)
def test_what_is_no_valid_answer_is_none(status: int, body: bytes) -> None:
    with pytest.raises(DaemonError, match="POST https://x:1/v1/admission"):
        RubicanteClient(Answering(status, body)).query_admission(
            "https://x:1", REQUEST, timeout=Nanoseconds(1)
        )
