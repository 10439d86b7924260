"""An API server in memory: objects to list and watch, tokens, and what users may do."""

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from k40s.errors import UnavailableError
from k40s.kube.objects.networks import NETWORKS
from k40s.kube.transport import JSON, NotFoundError
from k40s.units import Nanoseconds

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"
NODES, PODS, EVENTS = "/api/v1/nodes", "/api/v1/pods", "/api/v1/events"

Allowed = Callable[[dict[str, Any]], bool]
"""Whether the attributes of a SubjectAccessReview are allowed."""


def allow_all(_attributes: dict[str, Any]) -> bool:
    return True


def allow_nothing(_attributes: dict[str, Any]) -> bool:
    return False


def allow_pods_in(*namespaces: str) -> Allowed:
    """As a Role with ``get pods`` in each of them gives."""

    def allowed(attributes: dict[str, Any]) -> bool:
        return attributes["resource"] == "pods" and attributes["namespace"] in namespaces

    return allowed


@dataclass
class FakeApi:
    """``ApiTransport`` in memory. ``users`` are by token, ``rights`` by the user's name."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    rights: dict[str, Allowed] = field(default_factory=dict)
    audiences: dict[str, list[str]] = field(default_factory=dict)
    extra: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Of a token's user, such as the id of the token."""
    reviewed: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    down: bool = False
    on_down: Callable[[], None] = lambda: None
    """What a request that gets no answer costs its caller."""
    _watchers: dict[str, list[queue.SimpleQueue[dict[str, Any] | None]]] = field(
        default_factory=dict
    )

    def put(self, path: str, item: dict[str, Any]) -> None:
        """Create or replace an object, and tell those who watch."""
        known = self.objects.setdefault(path, {})
        key = item["metadata"]["uid"]
        kind = "MODIFIED" if key in known else "ADDED"
        known[key] = item
        for watcher in self._watchers.get(path, ()):
            watcher.put({"type": kind, "object": item})

    def close(self) -> None:
        """End all watches."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.put(None)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401  # JSON
        *,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: Nanoseconds | None = None,
    ) -> dict[str, Any]:
        del content_type, accept, timeout
        if self.down:
            self.on_down()
            raise UnavailableError(f"{method} {path}: down")
        place, _, query = path.partition("?")
        if method == "POST":
            return {"status": self._review(place, body["spec"])}
        if place in (NODES, PODS, EVENTS, LEASES, NETWORKS):
            items = [one for one in self._list(place) if _is_asked_for(one, query)]
            return {"items": items, "metadata": {"resourceVersion": "1"}}
        if place.endswith("/events"):
            items = [one for one in self._list(EVENTS) if _is_asked_for(one, query)]
            return {"items": items}
        return self._get(place)

    def stream(self, path: str, *, accept: str, silence: Nanoseconds) -> Iterator[dict[str, Any]]:
        del accept, silence
        place, _, query = path.partition("?")
        changes: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._watchers.setdefault(place, []).append(changes)
        while (change := changes.get()) is not None:
            if _is_asked_for(change["object"], query):
                yield change

    def _list(self, place: str) -> list[dict[str, Any]]:
        return list(self.objects.get(place, {}).values())

    def _get(self, place: str) -> dict[str, Any]:
        _, _, rest = place.partition("/namespaces/")
        namespace, _, name = rest.replace("/pods/", " ").partition(" ")
        for pod in self._list(PODS):
            if (pod["metadata"]["namespace"], pod["metadata"]["name"]) == (namespace, name):
                return pod
        raise NotFoundError(f"GET {place}: 404")

    def _review(self, place: str, spec: dict[str, Any]) -> dict[str, Any]:
        if place == TOKENS:
            self.reviewed.append(spec["token"])
            name = self.users.get(spec["token"])
            if name is None:
                return {"authenticated": False, "error": "invalid bearer token"}
            audiences = self.audiences.get(spec["token"], spec.get("audiences", []))
            user = {"username": name, "extra": self.extra.get(spec["token"], {})}
            return {"authenticated": True, "user": user, "audiences": audiences}
        assert place == ACCESS
        attributes = spec["resourceAttributes"]
        self.asked.append((spec["user"], attributes))
        return {"allowed": self.rights.get(spec["user"], allow_nothing)(attributes)}


def _is_asked_for(item: dict[str, Any], query: str) -> bool:
    """Whether the field selector's parts hold, such as ``involvedObject.kind=Node``."""
    (selector,) = parse_qs(query).get("fieldSelector", [""])
    for part in filter(None, selector.split(",")):
        names, _, value = part.partition("=")
        found: Any = item
        for name in names.split("."):
            found = found.get(name, "")
        if found != value:
            return False
    return True
