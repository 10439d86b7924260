"""Insight in a small world of fakes: API server, extender, clock; called by WSGI."""

import io
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from insight.process import Insight
from insight.settings import InsightSettings
from insight.static_files import StaticFiles
from k40s.errors import UnavailableError
from k40s.explanation.model import Explanation
from k40s.http.connections.wsgi_adapter import TAKE_OVER
from k40s.http.listening import Host
from k40s.kube.gateway import KubeGateway
from k40s.kube.objects.fields import JsonObject
from k40s.kube.objects.observed import observed_pod
from k40s.runtime.settings import Port
from tests.fakes.extender.world import FakeClock
from tests.fakes.insight.api import LEASES, NODES, PODS, FakeApi, allow_all, allow_pods_in
from tests.fakes.insight.objects import lease_object, node_object, pod_object

if TYPE_CHECKING:
    from k40s.kube.transport import ApiTransport

HOST = "insight.example:8443"
ADMIN, READER, NOBODY = "token-admin", "token-reader", "token-nobody"


@dataclass
class FakeExplainer:
    """The extender's verb: what it is asked, and what it answers."""

    answer: Explanation | None = None
    asked: list[tuple[JsonObject, Sequence[str]]] = field(default_factory=list)

    def explain(self, pod: JsonObject, nodes: Sequence[str]) -> Explanation:
        self.asked.append((pod, nodes))
        if self.answer is None:
            raise UnavailableError("POST /scheduler/explain: down")
        return self.answer


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # decoded JSON
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        """The session's cookie, as a browser sends it back."""
        return self.headers["Set-Cookie"].partition(";")[0]


class World:
    """Two nodes; a bound pod and a waiting one in ``mine``, a bound one in ``theirs``."""

    def __init__(self, page: Path, **settings: Any) -> None:  # noqa: ANN401  # settings of any kind
        self.clock = FakeClock()
        self.api = FakeApi(
            users={ADMIN: "admin", READER: "reader", NOBODY: "nobody"},
            rights={"admin": allow_all, "reader": allow_pods_in("mine")},
        )
        for name in ("node-1", "node-2"):
            self.api.put(NODES, node_object(name))
            renewed = "2026-03-01T12:00:00.000000Z"
            for daemon in ("malacoda", "rubicante"):
                self.api.put(LEASES, lease_object(daemon, name, renewed=renewed))
        self.api.put(PODS, pod_object("bound", namespace="mine", node="node-1"))
        self.api.put(PODS, pod_object("waiting", namespace="mine"))
        self.api.put(PODS, pod_object("secret", namespace="theirs", node="node-1", core=2))
        self.explainer = FakeExplainer()
        gateway = KubeGateway(cast("ApiTransport", self.api))
        self.insight = Insight(
            InsightSettings(host=Host("127.0.0.1"), port=Port(0), probe_port=Port(0), **settings),
            gateway=gateway,
            explainer=self.explainer,
            files=StaticFiles(page),
            clock=self.clock.monotonic,
            wall=self.clock.wall,
        )
        self.taken: socket.socket | None = None
        self._clients: list[socket.socket] = []

    def start(self) -> None:
        """List everything, as the informers do at their start."""
        self.insight.probes.start()
        self.insight.watches.start()
        for informer in self.insight.watches.informers:
            assert informer.synchronized.wait(60), informer.name

    def put_pod(self, item: dict[str, Any]) -> None:
        """A pod changes, and the change has been seen."""
        self.api.put(PODS, item)
        self.insight.watches.pods.upsert(observed_pod(item))

    def turn(self, seconds: float = 1.0) -> None:
        """Time passes, and the loops turn once."""
        self.clock.advance(seconds)
        self.insight.review()
        self.insight.push()
        self.insight.loop.run_once(0)

    def close(self) -> None:
        self.api.close()
        self.insight.stop()
        for client in self._clients:
            client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        cookie: str = "",
        origin: str | None = None,
        body: bytes = b"",
        remote: str = "192.0.2.1",
        **headers: str,
    ) -> Reply:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "REMOTE_ADDR": remote,
            "HTTP_HOST": HOST,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            TAKE_OVER: self._take_over,
            **({"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}),
            **({"HTTP_COOKIE": cookie} if cookie else {}),
            **({"HTTP_ORIGIN": origin} if origin is not None else {}),
            **{f"HTTP_{name.upper()}": text for name, text in headers.items()},
        }
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, fields: list[tuple[str, str]], *_: object) -> Any:  # noqa: ANN401
            begun.append((status, fields))

        content = b"".join(self.insight.app(environ, start))
        ((status, fields),) = begun
        return Reply(int(status.split()[0]), dict(fields), content)

    def sign_in(self, token: str = READER) -> str:
        """A session's cookie."""
        reply = self.call("POST", "/v1/session", token=token, origin=f"https://{HOST}")
        assert reply.status == 201, reply.body
        return reply.cookie

    def open_stream(self, **how: str) -> socket.socket:
        """A stream as its client sees it."""
        reply = self.call("GET", "/v1/stream", **how)
        assert self.taken is not None, reply.body
        taken, self.taken = self.taken, None
        return taken

    def _take_over(self, taker: Any) -> None:  # noqa: ANN401  # a function of a socket
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        theirs.settimeout(60)
        taker(ours)
        self.taken = theirs
        self._clients.append(theirs)


def read_event(client: socket.socket) -> Any:  # noqa: ANN401  # decoded JSON
    """The next event of a stream; lines before it are skipped."""
    received = b""
    while not (b"\ndata: " in received and received.endswith(b"\n\n")):
        part = client.recv(1 << 20)
        if not part:
            return None
        received += part
    return json.loads(received.rpartition(b"data: ")[2])
