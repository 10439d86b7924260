"""A server on loopback with insight's paths and headers, which a test commands."""

import http.server
import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from urllib.parse import unquote

from insight.answers import SECURITY
from insight.static_files import StaticFiles
from k40s.overview.model import Overview

TOKEN = "a-token-of-the-test"  # noqa: S105  # of no cluster
_COOKIE = "k40s-session=of-the-test"
_COMMENT_S = 15.0

Explain = Callable[[str, str], dict[str, object]]


class PageServer(http.server.ThreadingHTTPServer):
    """``show`` gives streams an overview; ``fail`` breaks them, and ``heal`` ends that."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, overview: Overview, explain: Explain) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.explain = explain
        self.files = StaticFiles()
        self.changed = threading.Condition()
        self.version = 0
        self.failing = False
        self.valid = True
        self.streams = 0
        self.asked: list[str] = []
        self.show(overview)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def show(self, overview: Overview) -> None:
        """Send it on every stream, and at the start of later ones."""
        with self.changed:
            self.data = json.dumps(asdict(overview)).encode()
            self.version += 1
            self.changed.notify_all()

    def fail(self) -> None:
        """Close the streams, and answer 503 from here on."""
        with self.changed:
            self.failing = True
            self.changed.notify_all()

    def heal(self) -> None:
        with self.changed:
            self.failing = False

    def end_sessions(self) -> None:
        """Close the streams; the cookie is worth nothing any more."""
        with self.changed:
            self.valid = False
            self.changed.notify_all()

    def close(self) -> None:
        self.fail()
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PageServer

    def do_GET(self) -> None:
        if found := self.server.files.find(self.path, known="", packed=False):
            self._answer(HTTPStatus.OK, found.body, dict(found.headers))
            return
        self.server.asked.append(self.path)
        if self.server.failing:
            self._error(HTTPStatus.SERVICE_UNAVAILABLE, "the API server does not answer")
        elif not self._known():
            self._error(HTTPStatus.UNAUTHORIZED, "no valid token was sent")
        elif self.path == "/v1/stream":
            self._stream()
        else:
            self._explanation()

    def do_POST(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._error(HTTPStatus.UNAUTHORIZED, "the API server does not know this token")
            return
        self.server.valid = True
        cookie = f"{_COOKIE}; Path=/; HttpOnly; Secure; SameSite=Strict"
        self._answer(HTTPStatus.NO_CONTENT, b"", {"Set-Cookie": cookie})

    def do_DELETE(self) -> None:
        cookie = "k40s-session=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0"
        self._answer(HTTPStatus.NO_CONTENT, b"", {"Set-Cookie": cookie})

    def _known(self) -> bool:
        return self.server.valid and _COOKIE in self.headers.get("Cookie", "")

    def _explanation(self) -> None:
        parts = self.path.split("/")
        if len(parts) == 7 and parts[1] == "v1" and parts[6] == "explanation":
            said = self.server.explain(unquote(parts[3]), unquote(parts[5]))
            body = json.dumps(said).encode()
            self._answer(HTTPStatus.OK, body, {"Content-Type": "application/json"})
            return
        self._error(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path}")

    def _stream(self) -> None:
        self.close_connection = True
        kind = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        self._head(HTTPStatus.OK, kind | {"Connection": "close"})
        self.server.streams += 1
        seen = -1
        try:
            while (news := self._news(seen)) is not None:
                data, version = news
                event = b"event: overview\ndata: " + data + b"\n\n"
                self.wfile.write(b": alive\n\n" if version == seen else event)
                seen = version
        except OSError:
            return  # the page has gone

    def _news(self, seen: int) -> tuple[bytes, int] | None:
        """The overview and its version, after a while an old one; None where the stream ends."""
        server = self.server

        def any_news() -> bool:
            return server.version != seen or server.failing or not server.valid

        with server.changed:
            server.changed.wait_for(any_news, _COMMENT_S)
            ended = server.failing or not server.valid
            return None if ended else (server.data, server.version)

    def _error(self, status: HTTPStatus, text: str) -> None:
        body = json.dumps({"error": text}).encode()
        self._answer(status, body, {"Content-Type": "application/json"})

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, headers | {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers.items(), *SECURITY):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
        """Say nothing."""
