"""The API server in memory, served over HTTP: for insight as a process of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from k40s.kube.transport import JSON, NotFoundError
from k40s.units import Nanoseconds
from tests.fakes.insight.api import FakeApi


@contextmanager
def serving(api: FakeApi) -> Iterator[int]:
    """Serve it over HTTP; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if "watch=1" in self.path:
                self._watch()
                return
            try:
                status, answer = 200, api.request(self.command, self.path, body)
            except NotFoundError as error:
                status, answer = 404, {"message": str(error)}
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", JSON)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _watch(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for change in api.stream(self.path, accept=JSON, silence=Nanoseconds(0)):
                line = json.dumps(change).encode() + b"\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.close_connection = True

        do_GET = do_POST = _serve  # noqa: N815  # the names that http.server calls

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        api.close()
        server.shutdown()
        server.server_close()


def write_kubeconfig(path: Path, port: int) -> Path:
    """A kubeconfig for it, without credentials."""
    cluster = {"server": f"http://127.0.0.1:{port}"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "users": [{"name": "it", "user": {}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path
