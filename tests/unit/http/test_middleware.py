import io
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from k40s.http.connections.handshake import peer_name
from k40s.http.middleware import Guard


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401  # WSGI
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def call(
    environ: dict[str, Any],
    allowed: frozenset[str] | None = None,
    restricted: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> tuple[str, bytes]:
    said: list[Any] = []
    guard = Guard(
        app,
        allowed=allowed,
        peer_name=lambda socket: socket,
        max_body=10,
        restricted=restricted,
    )

    def start_response(status: str, *_rest: object) -> Callable[[bytes], object]:
        said.append(status)
        return said.append

    body = b"".join(guard({"wsgi.input": io.BytesIO(), "PATH_INFO": "/"} | environ, start_response))
    return said[0], body


def test_lets_everybody_in_where_there_are_no_names() -> None:
    assert call({"CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"abc")}) == ("200 OK", b"abc")


@pytest.mark.parametrize(
    ("name", "status"), [("friend", "200 OK"), ("other", "403 Forbidden"), (None, "403 Forbidden")]
)
def test_lets_in_only_who_is_on_the_list(name: str | None, status: str) -> None:
    assert call({"gunicorn.socket": name}, frozenset({"friend"}))[0] == status


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("friend", "/ask", "200 OK"),
        ("friend", "/act", "200 OK"),
        ("guest", "/ask", "200 OK"),
        ("guest", "/act", "403 Forbidden"),
        ("guest", "//ask", "403 Forbidden"),
        ("guest", "/ask/", "403 Forbidden"),
        ("stranger", "/ask", "403 Forbidden"),
    ],
)
def test_a_restricted_client_calls_only_its_paths(name: str, path: str, status: str) -> None:
    environ = {"gunicorn.socket": name, "PATH_INFO": path}
    restricted = {"guest": frozenset({"/ask"}), "stranger": frozenset({"/ask"})}

    assert call(environ, frozenset({"friend", "guest"}), restricted)[0] == status


def test_lets_nobody_in_by_an_empty_list() -> None:
    assert call({"gunicorn.socket": "friend"}, frozenset())[0] == "403 Forbidden"


@pytest.mark.parametrize(("size", "status"), [(10, "200 OK"), (11, "413 Content Too Large")])
def test_bounds_a_body_by_its_announced_length(size: int, status: str) -> None:
    environ = {"CONTENT_LENGTH": str(size), "wsgi.input": io.BytesIO(b"x" * size)}

    assert call(environ)[0] == status


@pytest.mark.parametrize(("size", "status"), [(10, "200 OK"), (11, "413 Content Too Large")])
def test_bounds_a_chunked_body_by_reading_it(size: int, status: str) -> None:
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(b"x" * size)}

    said, body = call(environ)

    assert said == status
    assert said != "200 OK" or body == b"x" * size


def test_a_plain_connection_has_no_name() -> None:
    assert peer_name(object()) is None
