"""The HTTP API, whole, over a fake kernel."""

import errno
import json
import logging
from dataclasses import replace
from fractions import Fraction

import pytest
from flask.testing import FlaskClient

from daemons.rubicante.api.app import create_app
from daemons.rubicante.book.entry import Phase
from k40s.annotations import (
    CRITICALITY_KEY,
    TASKS_KEY,
    UID_LENGTH,
    format_cpu_state,
    parse_cpu_state,
)
from k40s.annotations.cpu_state import MAX_WHOLE_STATE
from k40s.annotations.workload import task_json
from k40s.node_api.messages import (
    ReservationRequest,
    parse_admission_answer,
)
from k40s.reasons import Reason
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.http import PATH, body, state_of
from tests.fakes.rubicante.world import World, ask, node, pod, task, uid


def test_put_reserves_and_says_what_was_granted(world: World, client: FlaskClient) -> None:
    answer = client.put(PATH, data=body())

    assert answer.status_code == 201
    read = parse_admission_answer(answer.data)
    assert read.schedulable
    assert read.granted == world.book.find(uid(1)).reservations
    assert read.utilization == {1: read.granted[0].server.bandwidth}
    assert read.generation == 1


def test_put_again_is_200_and_the_same(client: FlaskClient) -> None:
    first = client.put(PATH, data=body())

    again = client.put(PATH, data=body())

    assert (again.status_code, again.data) == (200, first.data)


def test_a_pod_that_does_not_fit_is_409_with_its_reason(client: FlaskClient, world: World) -> None:
    answer = client.put(PATH, data=body(ask(1, task(wcet_ms=99))))

    read = parse_admission_answer(answer.data)
    assert answer.status_code == 409
    assert read.reason is Reason.CPU_NO_BANDWIDTH
    assert world.book.entries() == ()
    assert world.metric("k40s_rubicante_refusals_total", {"reason": read.reason.value}) == 1


def test_a_pod_that_does_not_exist_is_409(client: FlaskClient, world: World) -> None:
    world.server.pods.clear()

    answer = client.put(PATH, data=body())

    assert answer.status_code == 409
    assert parse_admission_answer(answer.data).reason is Reason.POD_UNKNOWN
    assert world.book.entries() == ()
    assert world.system.admitted() == 0


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_409(client: FlaskClient, world: World, phase: str) -> None:
    world.server.add(pod(1, phase=phase))

    answer = client.put(PATH, data=body())

    assert parse_admission_answer(answer.data).reason is Reason.POD_UNKNOWN


def test_a_pod_of_that_name_with_another_uid_is_409(client: FlaskClient) -> None:
    request = ask(1)
    other = ReservationRequest(
        pod=type(request.pod)(uid=uid(2), namespace="default", name="pod-1"),
        workload=request.workload,
    )

    answer = client.put(f"/v1/reservations/{uid(2)}", data=body(other))

    assert parse_admission_answer(answer.data).reason is Reason.POD_UNKNOWN


def test_a_pod_bound_elsewhere_is_409(client: FlaskClient, world: World) -> None:
    world.server.add(pod(1, node="edge-2"))

    answer = client.put(PATH, data=body())

    assert answer.status_code == 409
    assert parse_admission_answer(answer.data).reason is Reason.POD_ELSEWHERE
    assert world.book.entries() == ()


def test_a_pod_bound_here_is_welcome(client: FlaskClient, world: World) -> None:
    world.server.add(pod(1, node=NODE))

    assert client.put(PATH, data=body()).status_code == 201


def test_a_task_of_a_container_that_the_pod_lacks_is_409(client: FlaskClient) -> None:
    answer = client.put(PATH, data=body(ask(1, task(container="absent"))))

    assert parse_admission_answer(answer.data).reason is Reason.POD_INVALID


def test_a_stale_generation_is_409(client: FlaskClient) -> None:
    answer = client.put(PATH, data=body(ask(1, generation=7)))

    assert answer.status_code == 409
    assert parse_admission_answer(answer.data).reason is Reason.CPU_STALE_GENERATION


def test_post_admission_answers_and_changes_nothing(world: World, client: FlaskClient) -> None:
    fits = client.post("/v1/admission", data=body())
    too_much = client.post("/v1/admission", data=body(ask(1, task(wcet_ms=99))))

    assert (fits.status_code, too_much.status_code) == (200, 200)
    yes, no = parse_admission_answer(fits.data), parse_admission_answer(too_much.data)
    assert yes.schedulable
    assert yes.utilization[1] == yes.granted[0].server.bandwidth
    assert no.reason is Reason.CPU_NO_BANDWIDTH
    assert world.store.texts == {}


def test_delete_gives_back_what_was_not_bound(world: World, client: FlaskClient) -> None:
    client.put(PATH, data=body())

    answer = client.delete(PATH)

    assert (answer.status_code, answer.data) == (204, b"")
    assert world.book.entries() == ()
    assert world.system.admitted() == 0


def test_delete_of_nothing_is_204(client: FlaskClient) -> None:
    assert client.delete(PATH).status_code == 204


def test_delete_of_a_bound_pod_is_409_and_changes_nothing(
    world: World, client: FlaskClient
) -> None:
    client.put(PATH, data=body())
    world.pods.upsert(pod(1, node=NODE))

    answer = client.delete(PATH)

    assert answer.status_code == 409
    assert world.book.find(uid(1)).phase is Phase.BOUND


def test_a_kernel_that_refuses_is_503_and_nothing_changes(
    world: World, client: FlaskClient
) -> None:
    world.system.refuse["make_directory"] = [OSError(errno.ENOSPC, "no cgroup left")]

    answer = client.put(PATH, data=body())

    assert answer.status_code == 503
    assert "no cgroup left" in answer.json["error"]
    assert answer.json["reason"] == "cpu.kernel-failed"
    assert world.book.entries() == ()


def test_a_store_that_fails_is_503_and_the_group_is_swept(
    world: World, client: FlaskClient
) -> None:
    world.store.broken = True

    answer = client.put(PATH, data=body())
    world.enforcer.sweep()

    assert (answer.status_code, answer.json["reason"]) == (503, "cpu.store-failed")
    assert world.book.entries() == ()
    assert world.system.admitted() == 0


def test_an_api_server_that_is_away_is_503(world: World, client: FlaskClient) -> None:
    world.server.down = True

    answer = client.put(PATH, data=body())

    assert (answer.status_code, answer.json["reason"]) == (503, "cpu.daemon-cut-off")
    assert world.book.entries() == ()


def test_a_pod_that_cannot_be_understood_is_503_with_that_cause(
    world: World, client: FlaskClient
) -> None:
    world.server.unreadable |= {record.uid for record in world.server.pods.values()}

    answer = client.put(PATH, data=body())

    assert (answer.status_code, answer.json["reason"]) == (503, "pod.unreadable")
    assert world.book.entries() == ()


def test_a_daemon_that_is_starting_is_503() -> None:
    world = World(opened=False)
    client = create_app(reservations=world.reservations, state=state_of(world)).test_client()

    answer = client.put(PATH, data=body())

    assert (answer.status_code, answer.json["reason"]) == (503, "cpu.daemon-starting")


def test_a_withdrawn_attempt_leaves_nothing_whichever_call_comes_first(
    world: World, client: FlaskClient
) -> None:
    client.put(f"{PATH}?attempt=one", data=body())
    before = client.delete(f"{PATH}?attempt=one")
    late = client.delete(f"{PATH}?attempt=two")
    after = client.put(f"{PATH}?attempt=two", data=body())

    assert [a.status_code for a in (before, late, after)] == [204, 204, 409]
    assert parse_admission_answer(after.data).reason is Reason.POD_WITHDRAWN
    assert world.book.entries() == ()
    assert world.system.admitted() == 0


def test_a_reservation_ends_with_the_last_attempt_that_waits_for_it(
    world: World, client: FlaskClient
) -> None:
    client.put(f"{PATH}?attempt=one", data=body())
    client.put(f"{PATH}?attempt=two", data=body())
    client.delete(f"{PATH}?attempt=one")
    between = world.book.find(uid(1))
    client.delete(f"{PATH}?attempt=two")

    assert between is not None
    assert world.book.entries() == ()


def test_an_attempt_that_was_replaced_takes_nothing_from_its_successor(
    world: World, client: FlaskClient
) -> None:
    """The pod changed in between, and the second call reserved for what it says now."""
    client.put(f"{PATH}?attempt=one", data=body())
    client.put(f"{PATH}?attempt=two", data=body(ask(1, task(wcet_ms=9))))

    client.delete(f"{PATH}?attempt=one")

    assert world.book.find(uid(1)).request.workload == ask(1, task(wcet_ms=9)).workload


def test_a_slower_bind_of_the_pod_as_it_was_takes_nothing_from_the_one_of_the_pod_as_it_is(
    world: World, client: FlaskClient
) -> None:
    """The first call's requests lay in a queue, while the pod changed and was asked for again."""
    now = task(wcet_ms=9)
    wishes = {CRITICALITY_KEY: "LOW", TASKS_KEY: json.dumps([task_json(now)])}
    world.server.add(pod(1, annotations=wishes))
    client.put(f"{PATH}?attempt=two", data=body(ask(1, now)))

    late = client.put(f"{PATH}?attempt=one", data=body())
    client.delete(f"{PATH}?attempt=one")

    assert parse_admission_answer(late.data).reason is Reason.POD_CHANGED
    assert world.book.find(uid(1)).request.workload == ask(1, now).workload


@pytest.mark.parametrize("named", [False, True])
def test_what_an_earlier_process_or_a_nameless_call_reserved_is_not_withdrawn_by_name(
    named: bool,
) -> None:
    world = World()
    world.server.add(pod(1))
    first = create_app(reservations=world.reservations, state=state_of(world)).test_client()
    first.put(f"{PATH}?attempt=one" if named else PATH, data=body())
    world = world.restarted() if named else world
    client = create_app(reservations=world.reservations, state=state_of(world)).test_client()

    client.delete(f"{PATH}?attempt=one")
    kept = world.book.find(uid(1))
    client.delete(PATH)

    assert kept is not None
    assert world.book.entries() == ()


def test_a_bound_pod_is_not_withdrawn_from(world: World, client: FlaskClient) -> None:
    client.put(f"{PATH}?attempt=one", data=body())
    world.pods.upsert(pod(1, node=NODE))

    answer = client.delete(f"{PATH}?attempt=one")

    assert answer.status_code == 409
    assert world.book.find(uid(1)).phase is Phase.BOUND


@pytest.mark.parametrize("name", ["a b", "ü", "x" * 65, "a/b"])
def test_a_bad_name_of_an_attempt_is_422(client: FlaskClient, name: str) -> None:
    for answer in (
        client.put(PATH, data=body(), query_string={"attempt": name}),
        client.delete(PATH, query_string={"attempt": name}),
    ):
        assert answer.status_code == 422
        assert "1 to 64 letters, digits and hyphens" in answer.json["error"]


def test_a_full_state_names_who_waits_to_be_bound(world: World, client: FlaskClient) -> None:
    """The pods that were bound are not asked about any more, so they need no naming."""
    small = [task(f"t{number}", wcet_ms=1, period_ms=1000) for number in range(14)]
    for number in range(1, 4):
        world.server.add(pod(number))
        path = f"/v1/reservations/{uid(number)}"
        assert client.put(path, data=body(ask(number, *small))).status_code == 201
    world.pods.upsert(pod(3, node=NODE))

    shown = parse_cpu_state(format_cpu_state(state_of(world).cpu_state()))

    assert not shown.complete
    assert shown.leased == {uid(1)[:8], uid(2)[:8]}


def test_a_node_that_cannot_enforce_refuses_everything() -> None:
    world = World(enforceable=False)
    world.server.add(pod(1))
    app = create_app(reservations=world.reservations, state=state_of(world, "no cgroup v1"))
    client = app.test_client()

    put, post = client.put(PATH, data=body()), client.post("/v1/admission", data=body())

    assert (put.status_code, post.status_code) == (409, 200)
    answers = [parse_admission_answer(answer.data) for answer in (put, post)]
    assert {one.reason for one in answers} == {Reason.CPU_NO_REAL_TIME}
    assert {one.detail for one in answers} == {"no cgroup v1"}


def test_state_shows_everything(world: World, client: FlaskClient) -> None:
    client.put(PATH, data=body())
    tid = world.system.spawn(world.container(), "ctl")
    world.look()

    state = client.get("/v1/state").json

    assert state["mechanism"] == "rt-cgroup"
    assert state["generation"] == 1
    (shown,) = state["pods"]
    assert shown["uid"] == uid(1)
    assert shown["threads"] == [
        {"container": "main", "task": "ctl", "thread": tid, "stand_in": False}
    ]
    assert shown["conditions"] == []
    assert state["cores"] == {"1": str(world.book.node().utilization(1))}


def test_the_published_form_of_the_state_has_all_reservations(
    world: World, client: FlaskClient
) -> None:
    client.put(PATH, data=body())

    answer = client.get("/v1/state?form=published")

    read = parse_cpu_state(answer.text)
    assert read.complete
    assert [held.pod_uid for held in read.node.reservations] == [uid(1)[:UID_LENGTH]]
    state = state_of(world).cpu_state()
    assert answer.text == format_cpu_state(state, at_most=MAX_WHOLE_STATE)


def test_an_unknown_form_of_the_state_is_422(client: FlaskClient) -> None:
    answer = client.get("/v1/state?form=whole")

    assert answer.status_code == 422
    assert answer.json is not None
    assert "readable or published" in answer.json["error"]


def test_state_names_what_a_container_declares_and_what_its_servers_take(
    world: World, client: FlaskClient
) -> None:
    client.put(PATH, data=body())

    (shown,) = client.get("/v1/state").json["pods"]

    (held,) = world.book.find(uid(1)).reservations
    (contract,) = held.tasks
    assert shown["prices"] == [
        {
            "container": "main",
            "declared": str(Fraction(contract.wcet, contract.period)),
            "reserved": str(held.server.bandwidth),
        }
    ]


def test_a_new_reservation_is_logged_with_its_price(
    world: World, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    client.put(PATH, data=body())

    (held,) = world.book.find(uid(1)).reservations
    (contract,) = held.tasks
    (line,) = (record for record in caplog.records if record.message == "pod reserved")
    declared, reserved = contract.wcet / contract.period, float(held.server.bandwidth)
    assert vars(line)["prices"] == [
        f"main: WCETs {declared:.3f}, reserved {reserved:.3f} of a core"
    ]


def test_a_reservation_on_a_core_no_longer_ours_is_not_published(
    world: World, client: FlaskClient
) -> None:
    client.put(PATH, data=body())
    world.book.describe(replace(node(), cores=(0,)))

    (text,) = state_of(world).annotations().values()

    assert text is not None
    read = parse_cpu_state(text)
    assert (read.complete, read.utilization) == (False, {0: 0})


def test_what_is_published_can_be_read_back(world: World, client: FlaskClient) -> None:
    client.put(PATH, data=body())

    state = state_of(world)

    (text,) = state.annotations().values()
    assert text is not None
    read = parse_cpu_state(text)
    assert read.generation == 1
    assert read.mechanism == "rt-cgroup"
    assert read.node.reservations[0].server == world.book.node().reservations[0].server
    assert state.labels() == {"node.k40s.io/real-time": "true"}
    assert state_of(world, "trouble").labels() == {"node.k40s.io/real-time": "false"}
