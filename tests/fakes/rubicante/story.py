"""A story of three pods that meets every kind of write: reserve, grow, enforce, undo, release.

Its steps are called one by one, without loops, so that its writes come in the same order each time.
Every step may be repeated, as the extender and the daemon's loops do.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.daemon import Daemon
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.kube.records import PodRecord
from k40s.node_api.messages import ReservationRequest, format_reservation_request
from tests.fakes.rubicante.api_server import NODE, FakeApiServer, FakePodSource
from tests.fakes.rubicante.world import ask, container_id, pod, task, uid

LOOKS = 8
"""More than any change of a core takes steps, each of which may wait for the one before."""


class Story:
    """``advance`` lets some time pass, ``start(number)`` makes a pod's container run its thread."""

    def __init__(
        self,
        *,
        make: Callable[[FakeApiServer, FakePodSource], Daemon],
        advance: Callable[[float], None],
        start: Callable[[int], None],
    ) -> None:
        self.server = FakeApiServer()
        self.pods = FakePodSource(self.server)
        self.daemon: Daemon
        self.statuses: dict[int, int] = {}
        self.texts: list[str] = []
        self._make = make
        self._advance = advance
        self._start = start

    def steps(self) -> Iterator[Callable[[], None]]:
        """All of it, in order."""
        yield self.boot
        yield self.open
        yield lambda: self.reserve(1)
        yield lambda: self.bind(1)
        yield self.look
        yield lambda: self.reserve(2)
        yield lambda: self.bind(2)
        yield self.look
        yield lambda: self.reserve(3)
        yield lambda: self.undo(3)
        yield lambda: self.end(2)
        yield self.look
        yield lambda: self.end(1)
        yield self.look

    def restart(self) -> None:
        """A new process with nothing but what disk, kernel and API server hold."""
        self.boot()
        self.open()
        self.look()

    def boot(self) -> None:
        self.daemon = self._make(self.server, self.pods)

    def open(self) -> None:
        self.daemon.publication.beat()
        self.daemon.pods.replace(self.pods.list().records)
        self.daemon.informer.synchronized.set()
        self.daemon.upkeep.tick()

    def reserve(self, number: int) -> None:
        self.server.add(pod(number))
        client = self.daemon.api().test_client()
        answer = client.put(
            f"/v1/reservations/{uid(number)}", data=format_reservation_request(request(number))
        )
        self.statuses[number] = answer.status_code
        self.texts.append(answer.text)

    def bind(self, number: int) -> None:
        if self.statuses.get(number) in (200, 201):
            record = bound(number)
            self.server.add(record)
            self._start(number)
            self.daemon.pods.upsert(record)

    def undo(self, number: int) -> None:
        answer = self.daemon.api().test_client().delete(f"/v1/reservations/{uid(number)}")
        self.texts.append(answer.text)

    def end(self, number: int) -> None:
        self.server.pods.pop(("default", f"pod-{number}"), None)
        self.daemon.pods.delete(uid(number))

    def look(self) -> None:
        for _ in range(LOOKS):
            self.daemon.enforcer.note_events()
            self.daemon.enforcer.look()
            self._advance(0.3)
        self.daemon.upkeep.tick()

    def end_all(self) -> None:
        """All pods go, leases run out, and the daemon gets the time that it needs."""
        for number in (1, 2, 3):
            insist(lambda number=number: self.end(number))
        self._advance(61)
        insist(self.daemon.upkeep.resolve_leases)
        self.look()
        self.look()

    def lost(self) -> list[int]:
        """Pods that were promised a reservation, still exist, and hold none."""
        held = {e.pod.uid for e in self.daemon.book.entries() if e.phase is not Phase.RELEASING}
        return [
            number
            for number, status in self.statuses.items()
            if status in (200, 201)
            and ("default", f"pod-{number}") in self.server.pods
            and self.server.pods["default", f"pod-{number}"].node
            and uid(number) not in held
        ]


def insist(step: Callable[[], None]) -> None:
    """As the daemon's loops do it: what fails is tried again."""
    for _ in range(2):
        with suppress(UnavailableError):
            return step()
    return None


def request(number: int) -> ReservationRequest:
    """The second pod is more critical than the first, so its coming makes the first one grow."""
    criticality = Criticality.HI if number == 2 else Criticality.LOW
    return ask(number, task(wcet_ms=2), criticality=criticality)


def bound(number: int) -> PodRecord:
    ids = {"main": container_id(number)}
    return replace(pod(number, node=NODE, phase="Running", container_ids=ids))
