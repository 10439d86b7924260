"""The Flask application: routes, faults as 200 with ``Error``, durations.

The verbs are answered before Flask builds a request, because kube-scheduler waits for filter and
prioritize one pod at a time. Everything else (unknown paths, wrong methods) is ordinary Flask.
"""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from flask import Flask, Response, request

from extender.metrics import ExtenderMetrics
from extender.protocol import encode
from extender.verbs.verb import Verb, Verbs
from k40s.errors import InvalidInputError, UnavailableError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)

PREFIX = "/scheduler"
_INTERNAL = "internal error of the k40s extender; its log says more"
Ready = Callable[[], str | None]
"""Returns None if ready, else what is missing."""


def create_app(
    *,
    verbs: Verbs,
    metrics: ExtenderMetrics,
    ready: Ready,
    calls: AbstractContextManager[None] | None = None,
) -> Flask:
    """Makes the application that serves the verbs.

    ``calls`` is entered by those for which kube-scheduler waits with every other pod behind.
    """
    app = Flask("extender")
    preferred = (verbs.filter, verbs.prioritize)
    routes = {
        f"{PREFIX}/{verb.name}": Route(
            verb,
            metrics=metrics,
            ready=ready,
            calls=calls if calls is not None and verb in preferred else nullcontext(),
        )
        for verb in verbs
    }
    for path, route in routes.items():
        app.add_url_rule(path, path, route.respond, methods=["POST"])
    app.wsgi_app = VerbsFirst(app.wsgi_app, routes)  # type: ignore[method-assign]  # Flask's way
    return app


class Route:
    """One verb: body in, body out, with its faults and its duration."""

    def __init__(
        self,
        verb: Verb,
        *,
        metrics: ExtenderMetrics,
        ready: Ready,
        calls: AbstractContextManager[None],
    ) -> None:
        self._verb = verb
        self._ready = ready
        self._calls = calls
        self._seconds = metrics.seconds[verb.name]
        self._faults = metrics.faults[verb.name]
        self._is_ready = False

    def handle(self, body: bytes) -> tuple[str, bytes]:
        """Return the status line and the reply."""
        started = time.perf_counter()
        try:
            trouble = self._trouble()
            if trouble is not None:
                return self._fail(trouble)
            with self._calls:
                return "200 OK", self._verb(body)
        except InvalidInputError as error:
            return self._fail(str(error), "400 Bad Request")
        except UnavailableError as error:
            return self._fail(str(error))
        except Exception:  # noqa: BLE001  # a fault is answered, and logged with its trace
            _log.exception("call failed", extra={"verb": self._verb.name})
            return self._fail(_INTERNAL, "500 Internal Server Error")
        finally:
            self._seconds.observe(time.perf_counter() - started)

    def respond(self) -> Response:
        """Flask's view of the route."""
        status, reply = self.handle(request.get_data())
        return Response(reply, status=status, mimetype="application/json")

    def _trouble(self) -> str | None:
        """Once the cache has been filled, it stays ready."""
        if self._is_ready:
            return None
        trouble = self._ready()
        self._is_ready = trouble is None
        return trouble

    def _fail(self, text: str, status: str = "503 Service Unavailable") -> tuple[str, bytes]:
        self._faults.inc()
        reply = self._verb.fault(text)
        return (status, encode({"error": text}).encode()) if reply is None else ("200 OK", reply)


class VerbsFirst:
    """WSGI middleware that answers POSTs to the verbs' paths without Flask."""

    def __init__(self, app: "WSGIApplication", routes: dict[str, Route]) -> None:
        self._app = app
        self._routes = routes

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answers in one write, or passes the request to Flask."""
        route = self._routes.get(environ["PATH_INFO"])
        if route is None or environ["REQUEST_METHOD"] != "POST":
            return self._app(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        status, reply = route.handle(environ["wsgi.input"].read(length))
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(reply)))]
        start_response(status, headers)
        return [reply]
