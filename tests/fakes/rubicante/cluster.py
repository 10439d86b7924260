"""An API server over HTTP, as small as rubicante's own process needs: a node, pods, leases, events.

Pods are sent to the open watch; the daemon's writes are kept for the test to read.
"""

import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from k40s.annotations import PLATFORM_LABEL
from k40s.http.listening import format_authority
from k40s.kube.records import PodRecord
from k40s.pki.authority import Identity, issue, make_authority
from tests.fakes.rubicante.api_server import NODE

_QUIET_SECONDS = 1.0
_EVENTS_KEPT = 1000


class Cluster:
    """What the server knows. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.node: dict[str, Any] = {
            "metadata": {"name": NODE, "labels": {PLATFORM_LABEL: "xeon"}, "annotations": {}}
        }
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        self._watches: list[queue.Queue[dict[str, Any]]] = []

    def add(self, record: PodRecord) -> None:
        """Create or change a pod; a bound one is sent to the watches."""
        item = pod_json(record)
        with self.lock:
            self.pods[record.namespace, record.name] = item
        if record.node == NODE:
            self._tell("MODIFIED", item)

    def remove(self, record: PodRecord) -> None:
        """A pod is gone."""
        with self.lock:
            item = self.pods.pop((record.namespace, record.name), None)
        if item is not None:
            self._tell("DELETED", item)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, object]:  # noqa: ANN401
        """The status and the object for a call that is no watch."""
        parts = path.strip("/").split("/")
        with self.lock:
            if path == f"/api/v1/nodes/{NODE}":
                if method == "PATCH":
                    for part, keys in body["metadata"].items():
                        _merge(self.node["metadata"][part], keys)
                return 200, self.node
            if path == "/api/v1/pods":
                here = [p for p in self.pods.values() if p["spec"]["nodeName"] == NODE]
                return 200, {"items": here, "metadata": {"resourceVersion": "1"}}
            if parts[-2:-1] == ["pods"] and method == "GET":
                found = self.pods.get((parts[3], parts[5]))
                return (404, {"message": "no such pod"}) if found is None else (200, found)
            if parts[-1] == "events" and method == "POST":
                self.events = [*self.events[-_EVENTS_KEPT:], body]
                return 201, body
            if "leases" in parts:
                return 200, {}
        return 404, {"message": f"no answer to {method} {path}"}

    def watch(self) -> Iterator[dict[str, Any]]:
        """Events as they come, and a bookmark when it is quiet."""
        mine: queue.Queue[dict[str, Any]] = queue.Queue()
        with self.lock:
            self._watches.append(mine)
        try:
            while not self.stopping.is_set():
                try:
                    yield mine.get(timeout=_QUIET_SECONDS)
                except queue.Empty:
                    meta = {"metadata": {"resourceVersion": "2"}}
                    yield {"type": "BOOKMARK", "object": meta}
        finally:
            with self.lock:
                self._watches.remove(mine)

    def _tell(self, kind: str, item: dict[str, Any]) -> None:
        with self.lock:
            for watch in self._watches:
                watch.put({"type": kind, "object": item})


def pod_json(record: PodRecord) -> dict[str, Any]:
    """A core/v1 Pod, as far as ``pod_record`` reads it."""
    return {
        "metadata": {
            "uid": record.uid,
            "namespace": record.namespace,
            "name": record.name,
            "labels": dict(record.labels),
            "annotations": dict(record.annotations),
            "resourceVersion": "2",
            **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if record.deleting else {}),
        },
        "spec": {
            "nodeName": record.node,
            "schedulerName": record.scheduler,
            "containers": [{"name": name} for name in record.containers],
        },
        "status": {
            "phase": record.phase,
            "containerStatuses": [
                {"name": name, "containerID": f"containerd://{id_}"}
                for name, id_ in record.container_ids.items()
            ],
        },
    }


@contextmanager
def serving(
    cluster: Cluster, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Serve on a free port of loopback; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if "watch" in parse_qs(url.query):
                self.stream()
                return
            status, answer = cluster.answer(self.command, url.path, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for event in cluster.watch():
                    line = json.dumps(event).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            except OSError:
                pass
            self.close_connection = True

        do_GET = do_POST = do_PATCH = serve  # noqa: N815  # the names that http.server calls

        def log_message(self, *_arguments: object) -> None:
            """Silence."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    server = Server((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://{format_authority(host, server.server_address[1])}"
    finally:
        cluster.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(120)


def service_account_tls(directory: Path) -> ssl.SSLContext:
    """A server's certificate for localhost; in ``directory``, what kubelet gives to a pod."""
    now, day = datetime.now(UTC), timedelta(days=1)
    authority = make_authority(name="cluster", lifetime=day, now=now)
    identity = Identity(common_name="apiserver", dns_names=("localhost",))
    shown = issue(authority, identity, lifetime=day, now=now)
    directory.mkdir()
    (directory / "token").write_text("secret")
    (directory / "ca.crt").write_bytes(authority.certificate)
    (directory / "server.pem").write_bytes(shown.certificate + shown.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "server.pem")
    return context


def write_kubeconfig(path: Path, url: str) -> Path:
    """A kubeconfig without any credential."""
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


def _merge(present: dict[str, str], changes: Mapping[str, str | None]) -> None:
    for key, text in changes.items():
        if text is None:
            present.pop(key, None)
        else:
            present[key] = text
