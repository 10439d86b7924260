"""An HTTP server on loopback that answers like an API server, from a script."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    port: int
    """The client's: one for each connection."""


@dataclass(frozen=True)
class Answer:
    """A status and a body: JSON, raw bytes, or the lines of a watch, each in its own chunk."""

    status: int = 200
    body: Any = field(default_factory=dict)
    lines: list[bytes] | None = None
    broken: bool = False


class FakeApiServer:
    """Answers by method and path without its query, in the order in which answers were queued."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._answers: dict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self.port = 0

    def answer(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path].extend(answers)

    def take(self, received: Received) -> Answer:
        self.received.append(received)
        queue = self._answers[received.method, received.path.partition("?")[0]]
        if not queue:
            return Answer(404, {"message": f"no answer to {received.method} {received.path}"})
        return queue.popleft()


@contextmanager
def serving() -> Iterator[FakeApiServer]:
    fake = FakeApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            port = self.client_address[1]
            answer = fake.take(Received(self.command, self.path, dict(self.headers), body, port))
            self.send_response(answer.status)
            if answer.lines is None:
                raw = answer.body if isinstance(answer.body, bytes) else _json(answer.body)
                self.send_header("Content-Length", str(len(raw) + (9 if answer.broken else 0)))
                self.end_headers()
                self.wfile.write(raw)
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in answer.lines:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                if not answer.broken:
                    self.wfile.write(b"0\r\n\r\n")
            if answer.broken:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815  # the names that http.server calls

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join(timeout=120)
        server.server_close()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
