"""WSGI middleware that checks the client's name and the size of the body."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_NOBODY: Mapping[str, frozenset[str]] = MappingProxyType({})
MAX_BODY = 4 << 20
"""Bytes. A filter call with 5,000 node names takes 150 KB."""

PeerName = Callable[[Any], str | None]


class Guard:
    """Refuses callers that are not on the list (403) and bodies above the limit (413, 411).

    A caller in ``restricted`` is allowed only the paths named there.

    ``peer_name`` reads the caller's proven name from the connection that gunicorn puts into the
    environment; None as ``allowed`` admits everybody (a server without TLS has no names).
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        allowed: frozenset[str] | None,
        peer_name: PeerName,
        max_body: int = MAX_BODY,
        restricted: Mapping[str, frozenset[str]] = _NOBODY,
    ) -> None:
        self._app = app
        self._allowed = allowed
        self._peer_name = peer_name
        self._max_body = max_body
        self._restricted = restricted

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """WSGI."""
        if self._allowed is not None:
            name = self._peer_name(environ.get("gunicorn.socket"))
            if name is None or not self._may_call(name, environ["PATH_INFO"]):
                return _refuse(start_response, "403 Forbidden", "this client may not call this")
        if "HTTP_TRANSFER_ENCODING" in environ:
            content = environ["wsgi.input"].read(self._max_body + 1)
            if len(content) > self._max_body:
                return self._too_large(start_response)
            environ["wsgi.input"] = io.BytesIO(content)
            environ["CONTENT_LENGTH"] = str(len(content))
            del environ["HTTP_TRANSFER_ENCODING"]
        elif int(environ.get("CONTENT_LENGTH") or 0) > self._max_body:
            return self._too_large(start_response)
        return self._app(environ, start_response)

    def _may_call(self, name: str, path: str) -> bool:
        allowed, paths = self._allowed, self._restricted.get(name)
        return allowed is not None and name in allowed and (paths is None or path in paths)

    def _too_large(self, start_response: "StartResponse") -> Iterable[bytes]:
        text = f"the body is larger than {self._max_body} bytes"
        return _refuse(start_response, "413 Content Too Large", text)


def _refuse(start_response: "StartResponse", status: str, text: str) -> Iterable[bytes]:
    body = json.dumps({"error": text}).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
