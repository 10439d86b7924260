"""The HTTP API, whole, over a fake kernel."""

import errno
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from daemons.rubicante.api import create_app
from daemons.rubicante.entry import Phase
from k40s.annotations import parse_cpu_state
from k40s.node_api import (
    ReservationRequest,
    parse_admission_answer,
)
from k40s.reasons import Reason
from tests.fakes.rubicante_api_server import NODE
from tests.fakes.rubicante_http import PATH, body, state_of
from tests.fakes.rubicante_world import World, ask, node, pod, task, uid


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
    assert world.book.entries() == ()


def test_a_store_that_fails_is_503_and_the_group_is_swept(
    world: World, client: FlaskClient
) -> None:
    world.store.broken = True

    answer = client.put(PATH, data=body())
    world.enforcer.sweep()

    assert answer.status_code == 503
    assert world.book.entries() == ()
    assert world.system.admitted() == 0


def test_an_api_server_that_is_away_is_503(world: World, client: FlaskClient) -> None:
    world.server.down = True

    assert client.put(PATH, data=body()).status_code == 503
    assert world.book.entries() == ()


def test_a_node_that_cannot_enforce_refuses_everything() -> None:
    world = World(enforceable=False)
    world.server.add(pod(1))
    app = create_app(reservations=world.reservations, state=state_of(world, "no cgroup v1"))
    client = app.test_client()

    put, post = client.put(PATH, data=body()), client.post("/v1/admission", data=body())

    assert (put.status_code, post.status_code) == (409, 200)
    reasons = {parse_admission_answer(answer.data).reason for answer in (put, post)}
    assert reasons == {Reason.CPU_NO_REAL_TIME}


def test_state_shows_everything(world: World, client: FlaskClient) -> None:
    client.put(PATH, data=body())
    tid = world.system.spawn(world.container(), "ctl")
    world.look()

    state = client.get("/v1/state").json

    assert state["mechanism"] == "rt-cgroup"
    assert state["generation"] == 1
    (shown,) = state["pods"]
    assert shown["uid"] == uid(1)
    assert shown["threads"] == [{"container": "main", "task": "ctl", "thread": tid}]
    assert state["cores"] == {"1": str(world.book.node().utilization(1))}


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
