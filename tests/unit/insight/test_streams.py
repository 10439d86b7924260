"""Live pages: what they are sent and when, and when they end."""

import json
import socket
import zlib
from pathlib import Path

import pytest

from insight.answers import SECURITY
from k40s.units import NS_PER_S
from tests.fakes.insight.api import allow_all, allow_nothing
from tests.fakes.insight.objects import pod_object
from tests.fakes.insight.world import ADMIN, HOST, READER, World, read_event


def pods_of(told: dict[str, list[dict[str, str]]]) -> set[str]:
    return {one["name"] for one in told["pods"]}


def is_ended(client: socket.socket) -> bool:
    """Whether the stream ends, whatever is still on its way."""
    while client.recv(1 << 20):
        pass
    return True


def test_a_stream_begins_with_the_whole_overview(world: World) -> None:
    client = world.open_stream(token=ADMIN)
    world.turn()

    assert pods_of(read_event(client)) == {"bound", "waiting", "secret"}


def test_its_head_has_the_headers_of_every_answer(world: World) -> None:
    client = world.open_stream(token=ADMIN)
    world.turn()

    head = client.recv(1 << 20).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "HTTP/1.1 200 OK"
    assert "Content-Type: text/event-stream; charset=utf-8" in head
    assert "Cache-Control: no-store" in head
    assert {f"{name}: {value}" for name, value in SECURITY} <= set(head)


def test_a_change_is_sent_and_nothing_is_sent_without_one(world: World) -> None:
    client = world.open_stream(token=ADMIN)
    world.turn()
    read_event(client)

    world.turn()
    world.put_pod(pod_object("new", namespace="mine"))
    world.turn()

    assert "new" in pods_of(read_event(client))
    client.settimeout(0)
    with pytest.raises(BlockingIOError):
        client.recv(1)


def test_overviews_are_built_at_most_twice_a_second(world: World) -> None:
    client = world.open_stream(token=ADMIN)
    world.turn()
    read_event(client)
    before = world.insight.app.parts.source.current()[0]

    for turn in range(10):
        world.put_pod(pod_object(f"new-{turn}", namespace="mine"))
        world.turn(0.1)

    assert world.insight.app.parts.source.current()[0] - before <= 2


def test_a_reader_is_sent_nothing_of_other_namespaces_at_any_time(world: World) -> None:
    client = world.open_stream(token=READER)
    world.turn()
    world.put_pod(pod_object("other", namespace="theirs"))
    world.put_pod(pod_object("new", namespace="mine"))
    world.turn()

    received = client.recv(1 << 20)
    assert b"new" in received
    assert b"theirs" not in received
    assert b"secret" not in received


def test_a_reader_is_not_even_told_that_something_has_changed_elsewhere(world: World) -> None:
    client = world.open_stream(token=READER)
    world.turn()
    read_event(client)

    world.put_pod(pod_object("other", namespace="theirs"))
    world.turn()

    client.settimeout(0)
    with pytest.raises(BlockingIOError):
        client.recv(1)


def test_a_stream_begins_with_the_time_at_which_it_begins(world: World) -> None:
    world.open_stream(token=ADMIN)
    world.turn(100)

    client = world.open_stream(token=ADMIN)
    begun = world.clock.wall().strftime("%Y-%m-%dT%H:%M:%S")
    world.turn()

    assert read_event(client)["at"].startswith(begun)


def test_a_compressed_stream_is_one_gzip_member_of_the_same_events(world: World) -> None:
    plain, packed = (
        world.open_stream(token=ADMIN, accept_encoding=coding) for coding in ("", "br, gzip")
    )
    world.turn()
    world.put_pod(pod_object("new", namespace="mine"))
    world.turn()

    events = plain.recv(1 << 20).partition(b"\r\n\r\n")[2]
    head, _, content = packed.recv(1 << 20).partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert zlib.decompressobj(wbits=31).decompress(content) == events
    assert events.count(b"event: overview\n") == 2


def test_readers_with_equal_rights_share_one_text(world: World) -> None:
    clients = [world.open_stream(token=ADMIN) for _ in range(5)]
    world.turn()
    source, texts = world.insight.app.parts.source, world.insight.app.parts.texts

    rights = world.insight.app.parts.gate.find_rights
    accepted = world.insight.app.parts.gate.find_user(ADMIN, source="")
    assert accepted is not None
    found = rights(accepted.user, ())
    assert texts.get(*source.current(), found) is texts.get(*source.current(), found)
    assert len({client.recv(1 << 20) for client in clients}) == 1


def test_a_silent_stream_has_a_comment_every_fifteen_seconds(world: World) -> None:
    client = world.open_stream(token=ADMIN)
    world.turn()
    read_event(client)

    for _ in range(4):
        world.turn(4)

    assert client.recv(100) == b":\n\n"


def test_a_rejected_token_ends_its_stream_within_a_minute(world: World) -> None:
    client = world.open_stream(token=READER)
    world.turn()
    read_event(client)
    del world.api.users[READER]

    for _ in range(8):
        world.turn(5)

    assert is_ended(client)
    assert len(world.insight.streams) == 0


def test_a_session_that_ends_ends_its_stream(world: World) -> None:
    cookie = world.sign_in()
    client = world.open_stream(cookie=cookie)
    world.turn()
    read_event(client)

    world.call("DELETE", "/v1/session", cookie=cookie, origin=f"https://{HOST}")
    world.turn(5)

    assert is_ended(client)


def test_a_rejected_tokens_session_and_its_stream_end_together(world: World) -> None:
    client = world.open_stream(cookie=world.sign_in())
    world.turn()
    read_event(client)
    del world.api.users[READER]

    for _ in range(8):
        world.turn(5)

    assert is_ended(client)


def test_a_review_that_is_not_answered_is_logged_with_its_cause(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = world.open_stream(token=READER)
    world.turn()
    read_event(client)
    world.sign_in(ADMIN)
    world.api.down = True
    caplog.set_level("WARNING")

    for _ in range(5):
        world.turn(10)

    told = [one for one in caplog.records if one.getMessage() == "review not answered"]
    assert {one.name for one in told} == {"insight.streams", "insight.process"}
    assert all(getattr(one, "cause", "") for one in told)


def test_a_stream_whose_token_cannot_be_reviewed_for_a_minute_ends(world: World) -> None:
    client = world.open_stream(token=READER)
    world.turn()
    read_event(client)
    world.api.down = True

    for _ in range(5):
        world.turn(10)
    assert len(world.insight.streams) == 1
    for _ in range(3):
        world.turn(10)

    assert is_ended(client)


def test_an_api_server_that_hangs_does_not_hold_up_the_end_of_many_streams(
    world: World,
) -> None:
    clients = [world.open_stream(token=READER) for _ in range(8)]
    for _ in range(8):
        world.sign_in(ADMIN)
    world.turn()
    begun = world.clock.now
    world.api.down = True
    world.api.on_down = lambda: world.clock.advance(5)

    while len(world.insight.streams):
        world.turn(5)

    assert world.clock.now - begun < 90 * NS_PER_S
    assert all(map(is_ended, clients))


def test_a_right_that_is_withdrawn_empties_the_stream(world: World) -> None:
    client = world.open_stream(token=READER)
    world.turn()
    assert pods_of(read_event(client)) == {"bound", "waiting"}
    world.api.rights["reader"] = allow_nothing

    for _ in range(7):
        world.turn(5)

    assert read_event(client)["pods"] == []


def test_streams_of_one_user_and_of_all_are_bounded(world: World) -> None:
    clients = [world.open_stream(token=READER) for _ in range(8)]

    reply = world.call("GET", "/v1/stream", token=READER)

    assert reply.status == 429
    assert "live pages" in reply.json["error"]
    refused = world.insight.app.parts.metrics.streams_refused
    assert refused["user"]._value.get() == 1  # noqa: SLF001  # the client has no reader
    assert refused["all"]._value.get() == 0  # noqa: SLF001  # the same
    clients[0].close()
    world.turn()
    world.turn()
    assert world.open_stream(token=READER)


def test_a_stream_above_the_limit_of_all_is_counted_as_such(page: Path) -> None:
    world = World(page, streams=1, streams_per_user=1)
    world.start()
    world.open_stream(token=READER)

    assert world.call("GET", "/v1/stream", token=ADMIN).status == 429

    refused = world.insight.app.parts.metrics.streams_refused
    assert refused["all"]._value.get() == 1  # noqa: SLF001  # the client has no reader
    world.close()


def test_another_token_of_a_user_gives_no_further_streams_and_sessions(world: World) -> None:
    tokens = [f"token-{number}" for number in range(17)]
    for token in tokens:
        world.api.users[token] = "reader"
        world.api.extra[token] = {"credential-id": [f"JTI={token}"]}

    for token in tokens[:8]:
        world.open_stream(token=token)
    cookies = [world.sign_in(token) for token in tokens]

    assert world.call("GET", "/v1/stream", token=tokens[8]).status == 429
    assert world.call("GET", "/v1/overview", cookie=cookies[0]).status == 401


@pytest.mark.parametrize("by_cookie", [False, True])
def test_a_revoked_token_shows_nothing_after_45_seconds_though_it_was_known_before(
    world: World, *, by_cookie: bool
) -> None:
    world.call("GET", "/v1/overview", token=READER)
    del world.api.users[READER]
    for _ in range(5):
        world.turn(5)
    how = {"cookie": world.sign_in(READER)} if by_cookie else {"token": READER}
    client = world.open_stream(**how)
    world.turn(1)

    for _ in range(4):
        world.turn(5)

    assert is_ended(client)
    assert world.call("GET", "/v1/overview", **how).status == 401


def test_slow_reviews_of_some_readers_end_no_stream_of_others(world: World) -> None:
    def slowly(_attributes: object) -> bool:
        world.clock.advance(1)
        return True

    tokens = [f"token-{number}" for number in range(8)]
    for token in tokens:
        world.api.users[token] = token
        world.api.rights[token] = allow_all
    for token in tokens:
        world.open_stream(token=token)
    world.api.rights = dict.fromkeys(tokens, slowly)

    for _ in range(20):
        world.turn(5)

    assert len(world.insight.streams) == len(tokens)


def test_stopping_ends_all_streams(world: World) -> None:
    client = world.open_stream(token=ADMIN)
    world.turn()
    read_event(client)

    world.insight.loop.stop()

    assert is_ended(client)


def test_an_event_is_one_line_whatever_names_hold(world: World) -> None:
    item = pod_object("line", namespace="mine")
    item["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "one\ntwo\r\n\ndata: {}",
        }
    ]
    world.put_pod(item)
    client = world.open_stream(token=ADMIN)
    world.turn()

    events = client.recv(1 << 20).partition(b"\r\n\r\n")[2]
    assert events.count(b"\n\n") == 1
    assert json.loads(events.split(b"\n")[1].removeprefix(b"data: "))
