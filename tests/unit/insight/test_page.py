"""The page's files, paths, methods, and the headers of every answer."""

import gzip
from pathlib import Path

import pytest
import urllib3

from insight.answers import SECURITY
from k40s.pki.authority import read_validity
from tests.fakes.insight.world import ADMIN, World
from tests.fakes.webhook.process import new_authority, write_certificate


def test_the_page_needs_no_token(world: World) -> None:
    reply = world.call("GET", "/")

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<title>k40s" in reply.body


def test_a_script_has_its_type_and_is_asked_for_again_by_its_hash(world: World) -> None:
    reply = world.call("GET", "/static/lib/page.js")
    again = world.call("GET", "/static/lib/page.js", if_none_match=reply.headers["ETag"])

    assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-cache"
    assert (again.status, again.body) == (304, b"")


def test_files_are_compressed_for_those_who_take_that(world: World) -> None:
    plain = world.call("GET", "/static/lib/page.js")
    packed = world.call("GET", "/static/lib/page.js", accept_encoding="gzip, br")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body)
    assert gzip.decompress(packed.body) == plain.body
    assert "Content-Encoding" not in world.call("GET", "/", accept_encoding="gzip;q=0").headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/none.js",
        "/static/../process.py",
        "/static/..%2fprocess.py",
        "/static//etc/passwd",
        "/static/lib/secret.pem",
        "/static/lib",
        "/index.html",
        "/etc/passwd",
    ],
)
def test_nothing_but_the_pages_files_is_served(world: World, path: str) -> None:
    assert world.call("GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/none"),
        ("GET", "/v1/overview"),
        ("PUT", "/v1/session"),
        ("GET", "/static/lib/page.js"),
    ],
)
def test_every_answer_has_the_security_headers(world: World, method: str, path: str) -> None:
    headers = world.call(method, path).headers

    assert dict(SECURITY).items() <= headers.items()
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_what_a_reader_sees_is_kept_by_no_cache(world: World) -> None:
    assert world.call("GET", "/v1/overview", token=ADMIN).headers["Cache-Control"] == "no-store"


def test_an_overview_is_compressed_for_those_who_take_that(world: World) -> None:
    plain = world.call("GET", "/v1/overview", token=ADMIN)
    packed = world.call("GET", "/v1/overview", token=ADMIN, accept_encoding="gzip")

    assert gzip.decompress(packed.body) == plain.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("DELETE", "/v1/overview", 405),
        ("POST", "/v1/stream", 405),
        ("GET", "/v1/session", 405),
        ("POST", "/v1/namespaces/mine/pods/bound/explanation", 405),
        ("GET", "/v1/namespaces/mine/explanations", 405),
        ("GET", "/v1/namespaces/../pods/bound/explanation", 404),
        ("GET", "/v1/namespaces/mine/pods/a%2fb/explanation", 404),
        ("GET", "/v1/namespaces/Mine/pods/bound/explanation", 404),
        ("GET", "/v1/namespaces/mine/pods/bound/explanation/", 404),
        ("GET", "/v2/overview", 404),
    ],
)
def test_other_paths_and_methods_are_refused(
    world: World, method: str, path: str, status: int
) -> None:
    reply = world.call(method, path, token=ADMIN)

    assert reply.status == status
    assert list(reply.json) == ["error"]
    assert ("Allow" in reply.headers) is (status == 405)


def test_before_all_is_listed_there_is_no_overview(world: World) -> None:
    world.insight.watches.informers[0].synchronized.clear()

    reply = world.call("GET", "/v1/overview", token=ADMIN)

    assert reply.status == 503
    assert reply.json["error"] == "not listed yet: nodes"


def test_an_unforeseen_fault_is_answered_without_its_text(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError(ADMIN)

    monkeypatch.setattr(world.insight.app.parts.source, "current", fail)

    reply = world.call("GET", "/v1/overview", token=ADMIN)

    assert reply.status == 500
    assert ADMIN not in reply.json["error"]


def test_requests_are_counted_by_route_and_outcome(world: World) -> None:
    world.call("GET", "/")
    world.call("GET", "/v1/overview")

    counted = world.insight.app.parts.metrics.requests
    assert counted["page", "ok"]._value.get() == 1  # noqa: SLF001  # the client has no reader
    assert counted["overview", "refused"]._value.get() == 1  # noqa: SLF001  # the same


def test_it_shows_when_its_certificates_end(
    page: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tls = tmp_path_factory.mktemp("tls")
    write_certificate(tls, new_authority())
    world = World(page, tls_directory=tls)
    world.start()

    address = f"http://127.0.0.1:{world.insight.probes.port}/metrics"
    shown = urllib3.request("GET", address, retries=False).data.decode()

    end = read_validity((tls / "tls.crt").read_bytes()).not_after.timestamp()
    name = "k40s_insight_certificate_expiry_timestamp_seconds"
    lines = [one.split() for one in shown.splitlines() if one.startswith(name)]
    assert {label.removeprefix(name): float(value) for label, value in lines} == {
        '{certificate="server"}': end,
        '{certificate="client"}': 0.0,
    }
    world.close()
