"""insight over TLS on loopback, and a kubectl that forwards a port to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from k40s.explanation.json import Told, format_told
from k40s.http.tls import TlsFiles, anonymous_server_context

TOKEN = "a-token"  # noqa: S105  # of a test


class FakeInsight(ThreadingHTTPServer):
    """Answers what was put into ``answers``, by method and path; 404 for everything else."""

    daemon_threads = True

    def __init__(self, files: TlsFiles) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.socket = anonymous_server_context(files).wrap_socket(self.socket, server_side=True)
        self.answers: dict[str, tuple[int, str]] = {}
        self.bodies: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def tell(self, call: str, told: Told) -> None:
        """Answer such a call with that."""
        self.answers[call] = (200, format_told(told))

    def handle_error(self, *_arguments: object) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeInsight
    timeout = 20

    def do_GET(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        status, text = self.server.answers.get(
            f"{self.command} {self.path}", (404, json.dumps({"error": "there is no such pod"}))
        )
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, text = 401, json.dumps({"error": "the token is not valid"})
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815  # the name that http.server calls

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def serving(files: TlsFiles) -> Iterator[FakeInsight]:
    """An insight that serves while the context lasts."""
    server = FakeInsight(files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(timeout=120)
        server.server_close()


def write_kubectl(path: Path, says: str, *, stays: bool = True) -> None:
    """A kubectl that notes its arguments, says something, and stays until it is ended."""
    rest = "exec sleep 600" if stays else "exit 1"
    path.write_text(f'#!/bin/sh\necho "$@" > {path}.args\necho "{says}"\n{rest}\n')
    path.chmod(0o755)
