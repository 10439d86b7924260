"""Who may see what: by token, by session, by namespace."""

from pathlib import Path
from typing import Any

import pytest

from insight.readers import COOKIE
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.insight.world import ADMIN, HOST, NOBODY, READER, World

GUESS = "guess"
OURS = f"https://{HOST}"
PATHS = ["/v1/overview", "/v1/stream", "/v1/namespaces/mine/pods/bound/explanation"]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_answered_without_a_token(world: World, path: str) -> None:
    reply = world.call("GET", path)

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert list(reply.json) == ["error"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", ["bad", "x" * 20_000, "ü"])
def test_a_bad_token_is_refused(world: World, path: str, token: str) -> None:
    assert world.call("GET", path, token=token).status == 401


@pytest.mark.parametrize("cookie", [f"{COOKIE}=guess", f"{COOKIE}=", COOKIE, "a=b", ";;=\x00", ""])
def test_a_cookie_of_no_session_is_refused(world: World, cookie: str) -> None:
    assert world.call("GET", "/v1/overview", cookie=cookie).status == 401


def test_another_scheme_than_bearer_is_refused(world: World) -> None:
    reply = world.call("GET", "/v1/overview", authorization=f"Basic {ADMIN}")

    assert reply.status == 401


def test_who_may_list_pods_sees_all(world: World) -> None:
    told = world.call("GET", "/v1/overview", token=ADMIN).json

    assert {one["namespace"] for one in told["pods"]} == {"mine", "theirs"}
    assert [one["name"] for one in told["nodes"]] == ["node-1", "node-2"]


def test_who_may_get_pods_in_a_namespace_sees_that_alone_and_no_node(world: World) -> None:
    reply = world.call("GET", "/v1/overview", token=READER)

    assert {one["namespace"] for one in reply.json["pods"]} == {"mine"}
    assert (reply.json["nodes"], reply.json["networks"]) == ([], [])
    assert b"theirs" not in reply.body
    assert b"secret" not in reply.body


def test_who_may_nothing_sees_an_empty_overview(world: World) -> None:
    told = world.call("GET", "/v1/overview", token=NOBODY).json

    rows = (told["nodes"], told["pods"], told["networks"], told["happenings"])
    assert rows == ([], [], [], [])


def test_who_may_list_nodes_but_not_all_pods_sees_no_name_of_others_on_a_core(
    world: World,
) -> None:
    world.api.rights["reader"] = lambda what: (
        what["resource"] == "nodes" or what["namespace"] == "mine"
    )

    reply = world.call("GET", "/v1/overview", token=READER)

    assert len(reply.json["nodes"]) == 2
    assert b"secret" not in reply.body
    assert b"theirs" not in reply.body


def test_answers_of_the_api_server_are_kept_for_30_seconds(world: World) -> None:
    for _ in range(3):
        world.call("GET", "/v1/overview", token=READER)
    assert world.api.reviewed == [READER]
    asked = len(world.api.asked)

    world.clock.advance(31)
    world.call("GET", "/v1/overview", token=READER)

    assert world.api.reviewed == [READER, READER]
    assert len(world.api.asked) == 2 * asked


def test_a_right_that_is_withdrawn_ends_within_30_seconds(world: World) -> None:
    world.call("GET", "/v1/overview", token=READER)
    del world.api.rights["reader"]

    world.clock.advance(31)

    assert world.call("GET", "/v1/overview", token=READER).json["pods"] == []


def test_an_api_server_that_is_down_refuses_everybody_with_503(world: World) -> None:
    world.api.down = True

    reply = world.call("GET", "/v1/overview", token=ADMIN)

    assert reply.status == 503
    assert "API server" in reply.json["error"]


def test_a_token_for_another_audience_is_refused(page: Path) -> None:
    made = World(page, token_audiences=("k40s",))
    made.start()
    made.api.audiences = {READER: ["https://kubernetes.default.svc"], ADMIN: ["k40s"]}

    assert made.call("GET", "/v1/overview", token=READER).status == 401
    assert made.call("GET", "/v1/overview", token=ADMIN).status == 200
    made.close()


def test_many_bad_tokens_of_one_address_are_not_reviewed_and_known_ones_are(
    world: World,
) -> None:
    world.call("GET", "/v1/overview", token=ADMIN)
    statuses = [
        world.call("GET", "/v1/overview", token=f"guess-{turn}").status for turn in range(12)
    ]
    world.clock.advance(31)

    assert statuses == [401] * 10 + [429] * 2
    assert world.call("GET", "/v1/overview", token=READER).status == 429
    assert world.call("GET", "/v1/overview", token=ADMIN).status == 200
    world.clock.advance(60)
    assert world.call("GET", "/v1/overview", token=READER).status == 200


def test_a_host_does_not_have_its_limit_again_for_each_of_its_addresses(world: World) -> None:
    statuses = [
        world.call("GET", "/v1/overview", token=f"guess-{turn}", remote=f"2001:db8::{turn}").status
        for turn in range(12)
    ]

    assert statuses[-2:] == [429, 429]


def test_reviews_of_unknown_tokens_are_bounded_in_all(world: World) -> None:
    statuses = [
        world.call("GET", "/v1/overview", token=f"t{turn}", remote=str(turn)).status
        for turn in range(60)
    ]

    assert statuses.count(429) >= 20
    assert len(world.api.reviewed) <= 40


def test_a_session_stands_for_its_token(world: World) -> None:
    cookie = world.sign_in()

    told = world.call("GET", "/v1/overview", cookie=cookie).json

    assert {one["namespace"] for one in told["pods"]} == {"mine"}


@pytest.mark.parametrize(
    "other", ['a={"x": 1}', "a=b c", "a", 'a="open', "expires=1", "a=ü", "a@b=1", f"x{COOKIE}=no"]
)
def test_a_cookie_of_another_port_of_the_host_ends_no_session(world: World, other: str) -> None:
    cookie = world.sign_in()

    for both in (f"{other}; {cookie}", f"{cookie}; {other}"):
        assert world.call("GET", "/v1/overview", cookie=both).status == 200


def test_the_cookie_is_for_this_server_alone_and_for_no_script(world: World) -> None:
    reply = world.call("POST", "/v1/session", token=READER, origin=OURS)

    attributes = {one.strip() for one in reply.headers["Set-Cookie"].split(";")[1:]}
    assert attributes >= {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"}
    assert reply.json == {"user": "reader"}
    assert "Domain" not in reply.headers["Set-Cookie"]
    assert reply.cookie.startswith("__Host-")
    assert READER not in reply.headers["Set-Cookie"]


def test_a_session_is_not_begun_with_a_bad_token_or_with_a_cookie(world: World) -> None:
    cookie = world.sign_in()

    assert world.call("POST", "/v1/session", token=GUESS, origin=OURS).status == 401
    assert world.call("POST", "/v1/session", cookie=cookie, origin=OURS).status == 401


def test_a_session_ends_on_request(world: World) -> None:
    cookie = world.sign_in()

    reply = world.call("DELETE", "/v1/session", cookie=cookie, origin=OURS)

    assert reply.status == 204
    assert "Max-Age=0" in reply.headers["Set-Cookie"]
    assert world.call("GET", "/v1/overview", cookie=cookie).status == 401


def test_a_session_ends_when_its_token_is_rejected(world: World) -> None:
    cookie = world.sign_in()
    del world.api.users[READER]

    world.turn(35)

    assert world.call("GET", "/v1/overview", cookie=cookie).status == 401


def test_a_session_ends_after_its_lifetime(world: World) -> None:
    cookie = world.sign_in()
    hours = Nanoseconds(8 * 3600 * NS_PER_S)

    while world.clock.now < 1_000 * NS_PER_S + hours:
        world.turn(1800)

    assert world.call("GET", "/v1/overview", cookie=cookie).status == 401


def test_a_session_whose_token_cannot_be_reviewed_is_not_served_until_it_is(
    world: World,
) -> None:
    cookie = world.sign_in()
    world.api.down = True
    for _ in range(4):
        world.turn(25)
    assert world.call("GET", "/v1/overview", cookie=cookie).status == 503

    world.api.down = False
    world.turn(5)

    assert world.call("GET", "/v1/overview", cookie=cookie).status == 200


def test_a_user_has_sixteen_sessions_at_most_and_the_oldest_ends(world: World) -> None:
    cookies = [world.sign_in() for _ in range(17)]

    statuses = [world.call("GET", "/v1/overview", cookie=one).status for one in cookies]

    assert statuses == [401] + [200] * 16


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://{HOST}"}, 403),
        ({}, 403),
        ({"origin": OURS, "sec_fetch_site": "cross-site"}, 403),
        ({"origin": OURS, "sec_fetch_site": "same-site"}, 403),
        ({"origin": OURS, "sec_fetch_site": "same-origin"}, 204),
    ],
)
def test_a_change_by_cookie_comes_from_this_server_alone(
    world: World, how: dict[str, Any], status: int
) -> None:
    cookie = world.sign_in()

    assert world.call("DELETE", "/v1/session", cookie=cookie, **how).status == status


def test_another_sites_page_does_not_read_by_cookie(world: World) -> None:
    cookie = world.sign_in()

    reply = world.call("GET", "/v1/overview", cookie=cookie, sec_fetch_site="cross-site")

    assert reply.status == 403


def test_a_program_with_a_token_needs_no_origin(world: World) -> None:
    assert world.call("POST", "/v1/session", token=READER).status == 201


def test_tokens_and_ids_are_in_no_text_of_what_is_kept(world: World) -> None:
    cookie = world.sign_in()
    session = world.insight.app.parts.sessions.find(cookie.partition("=")[2])

    assert session is not None
    assert READER not in repr(session)
