"""One of several processes leads: by a Lease, without a common clock."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.leader_election import LeaderElection, LeaseLock, LockState
from k40s.kube.transport import ApiTransport, ConflictError
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

DURATION = Nanoseconds(15 * NS_PER_S)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"


class FakeLock:
    """The Lease in memory, with versions."""

    def __init__(self) -> None:
        self.state: LockState | None = None
        self.away = False
        self.overtaken_by: str | None = None

    def read(self) -> LockState | None:
        if self.away:
            raise UnavailableError("away")
        found = self.state
        if self.overtaken_by is not None:
            rival, self.overtaken_by = self.overtaken_by, None
            self.write(self.state, holder=rival, duration=DURATION)
        return found

    def write(
        self,
        former: LockState | None,
        *,
        holder: str,
        duration: Nanoseconds,
        annotations: Mapping[str, str] | None = None,
    ) -> LockState:
        if self.away:
            raise UnavailableError("away")
        if former != self.state:
            raise ConflictError("another version")
        version = 1 if former is None else int(former.version) + 1
        self.state = LockState(
            version=str(version),
            holder=holder,
            renewed=str(version),
            duration=duration,
            transitions=0,
            annotations={**(former.annotations if former else {}), **(annotations or {})},
        )
        return self.state


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += int(seconds * NS_PER_S)


def election(lock: FakeLock, clock: Clock, name: str = "one") -> LeaderElection:
    return LeaderElection(lock, identity=name, duration=DURATION, clock=clock)


def test_the_first_one_leads_and_the_second_waits() -> None:
    lock, clock = FakeLock(), Clock()
    first, second = election(lock, clock), election(lock, clock, "two")

    first.tick()
    second.tick()

    assert (first.leading, second.leading) == (True, False)


def test_a_leader_stops_before_another_one_begins() -> None:
    lock, clock = FakeLock(), Clock()
    first, second = election(lock, clock), election(lock, clock, "two")
    first.tick()

    told = []
    for _ in range(20):
        second.tick()
        told.append((first.leading, second.leading))
        clock.pass_time(1)

    assert (True, True) not in told
    assert told[9] == (True, False)
    assert told[10] == (False, False)
    assert told[15] == (False, True)


def test_a_renewed_lease_stays_with_its_holder() -> None:
    lock, clock = FakeLock(), Clock()
    first, second = election(lock, clock), election(lock, clock, "two")

    for _ in range(100):
        first.tick()
        second.tick()
        clock.pass_time(3)

    assert (first.leading, second.leading) == (True, False)


def test_a_lease_that_is_given_up_is_taken_at_once() -> None:
    lock, clock = FakeLock(), Clock()
    first, second = election(lock, clock), election(lock, clock, "two")
    first.tick()
    second.tick()

    first.release()
    second.tick()

    assert (first.leading, second.leading) == (False, True)


def test_an_unreachable_api_server_ends_leadership_in_time() -> None:
    lock, clock = FakeLock(), Clock()
    first = election(lock, clock)
    first.tick()
    lock.away = True

    for _ in range(11):
        clock.pass_time(1)
        with pytest.raises(UnavailableError):
            first.tick()

    assert not first.leading


def test_a_rival_that_is_faster_wins() -> None:
    lock, clock = FakeLock(), Clock()
    first = election(lock, clock)
    lock.overtaken_by = "two"

    first.tick()

    assert not first.leading
    assert lock.state is not None
    assert lock.state.holder == "two"


def test_annotations_pass_from_leader_to_leader_and_only_leaders_write_them() -> None:
    lock, clock = FakeLock(), Clock()
    first, second = election(lock, clock), election(lock, clock, "two")
    first.tick()
    first.annotate({"a": "1"})
    first.tick()
    second.tick()

    with pytest.raises(ConflictError):
        second.annotate({"a": "2"})
    first.release()
    second.tick()

    assert second.annotations == {"a": "1"}
    with pytest.raises(ConflictError):
        first.annotate({"a": "3"})


def test_a_former_leader_whose_term_is_over_does_not_write() -> None:
    lock, clock = FakeLock(), Clock()
    first = election(lock, clock)
    first.tick()
    clock.pass_time(11)

    with pytest.raises(ConflictError):
        first.annotate({"a": "1"})


@pytest.fixture
def api() -> FakeApiServer:
    with serving() as server:
        yield server  # type: ignore[misc]  # a fixture


def lease_lock(api: FakeApiServer) -> LeaseLock:
    client = HttpClient(base_url=f"http://127.0.0.1:{api.port}", timeout=Nanoseconds(20 * NS_PER_S))
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return LeaseLock(ApiTransport(client), namespace="k40s-system", name="c", now=lambda: now)


def lease(holder: str, version: str = "7") -> dict[str, object]:
    return {
        "metadata": {"name": "c", "resourceVersion": version, "annotations": {"a": "1"}},
        "spec": {
            "holderIdentity": holder,
            "renewTime": "2026-01-02T03:04:04.000000Z",
            "leaseDurationSeconds": 15,
            "leaseTransitions": 2,
        },
    }


def test_no_lease_is_created_and_one_that_exists_by_then_is_a_conflict(api: FakeApiServer) -> None:
    lock = lease_lock(api)
    api.answer("POST", LEASES, Answer(201, lease("one")), Answer(409, {"message": "exists"}))

    assert lock.read() is None
    made = lock.write(None, holder="one", duration=DURATION)
    with pytest.raises(ConflictError):
        lock.write(None, holder="one", duration=DURATION)

    assert (made.holder, made.duration, made.annotations) == ("one", DURATION, {"a": "1"})
    body = api.received[1].body
    assert body["spec"]["acquireTime"] == body["spec"]["renewTime"] == "2026-01-02T03:04:05.000000Z"


def test_a_renewal_is_for_the_version_that_was_read(api: FakeApiServer) -> None:
    lock = lease_lock(api)
    api.answer("GET", f"{LEASES}/c", Answer(200, lease("one")))
    api.answer("PATCH", f"{LEASES}/c", Answer(200, lease("one", "8")), Answer(200, lease("two")))

    state = lock.read()
    assert state is not None
    lock.write(state, holder="one", duration=DURATION, annotations={"b": "2"})
    lock.write(state, holder="two", duration=DURATION)

    kept, taken = (received.body for received in api.received[1:])
    assert kept["metadata"] == {"annotations": {"b": "2"}, "resourceVersion": "7"}
    assert "leaseTransitions" not in kept["spec"]
    assert taken["spec"]["leaseTransitions"] == 3


def test_a_lease_that_is_gone_meanwhile_is_a_conflict(api: FakeApiServer) -> None:
    lock = lease_lock(api)
    api.answer("GET", f"{LEASES}/c", Answer(200, lease("one")))
    state = lock.read()

    with pytest.raises(ConflictError):
        lock.write(state, holder="one", duration=DURATION)


def test_a_lease_without_a_duration_is_not_taken_over_soon(api: FakeApiServer) -> None:
    bad = lease("one")
    bad["spec"] = {"holderIdentity": "one", "leaseDurationSeconds": "15"}
    api.answer("GET", f"{LEASES}/c", Answer(200, bad))

    state = lease_lock(api).read()

    assert state is not None
    assert state.duration == 3600 * NS_PER_S
