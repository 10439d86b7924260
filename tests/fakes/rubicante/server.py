"""A stand-in for rubicante over real mutual TLS: a real book and real admission, no kernel."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from k40s.http.tls import TlsFiles, server_context
from k40s.node_api.client import DaemonError
from k40s.node_api.messages import format_admission_answer, parse_reservation_request
from k40s.units import Nanoseconds
from tests.fakes.extender.world import FakeRubicante


@contextmanager
def serve_rubicante(book: FakeRubicante, tls: TlsFiles) -> Iterator[str]:
    """Serve a book on a free port of loopback; yields the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            uid, attempt = self.named()
            request = parse_reservation_request(body, pod_uid=uid)
            before = book.node
            try:
                answer = book.reserve("", request, attempt=attempt)
            except DaemonError:  # it is done, and the caller does not hear of it
                self.close_connection = True
                return
            status = 409 if not answer.schedulable else 200 if book.node == before else 201
            self.answer(status, format_admission_answer(answer))

        def do_DELETE(self) -> None:
            uid, attempt = self.named()
            book.withdraw("", uid, attempt=attempt, timeout=Nanoseconds(1))
            self.answer(204, b"")

        def named(self) -> tuple[str, str]:
            """The pod's uid and the attempt's name, out of the path."""
            url = urlsplit(self.path)
            return url.path.rpartition("/")[2], parse_qs(url.query)["attempt"][0]

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = server_context(tls).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)
