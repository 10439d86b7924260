"""The routes of the station's HTTP API (docs/http-api.md). The server authenticates clients."""

from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from daemons.scarmiglione.api import openapi
from daemons.scarmiglione.api.failures import FAILED
from daemons.scarmiglione.api.slot_requests import SlotRequests
from k40s.errors import InvalidInputError, KernelError, UnavailableError
from k40s.node_api.bodies import MAX_BODY, UID
from k40s.node_api.network_messages import format_slots_answer, parse_slots_request
from k40s.strict_json import format_json

Document = Callable[[], str]
"""The JSON of ``GET /v1/state``."""


def create_app(*, requests: SlotRequests, state: Document) -> Flask:
    """The WSGI application."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_READ
    description = format_json(openapi.document())

    @app.get("/v1/openapi.json")
    def describe() -> Response:
        return _json(200, description)

    @app.get("/v1/state")
    def read_state() -> Response:
        return _json(200, state())

    @app.put("/v1/slots/<pod_uid>")
    def apply(pod_uid: str) -> Response:
        parsed = parse_slots_request(request.get_data(cache=False), pod_uid=_uid(pod_uid))
        answer, created = requests.apply(parsed, _attempt())
        granted = 201 if created else 200
        return _json(granted if answer.schedulable else 409, format_slots_answer(answer))

    @app.delete("/v1/slots/<pod_uid>")
    def withdraw(pod_uid: str) -> Response:
        if requests.withdraw(_uid(pod_uid), _attempt()):
            return Response(status=204)
        return _error(409, "the pod is bound here: its slots end with it")

    app.register_error_handler(InvalidInputError, _invalid)
    app.register_error_handler(KernelError, _unavailable)
    app.register_error_handler(UnavailableError, _unavailable)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _uid(text: str) -> str:
    if UID.fullmatch(text) is None:
        raise InvalidInputError(source="request path", path="$", found=text, expected="a pod's uid")
    return text


def _attempt() -> str:
    """The attempt that asks or is withdrawn; "" without one."""
    text = request.args.get("attempt", "")
    if text and openapi.ATTEMPT.fullmatch(text) is None:
        raise InvalidInputError(
            source="request query",
            path="attempt",
            found=text,
            expected="1 to 64 letters, digits and hyphens",
        )
    return text


def _invalid(error: InvalidInputError) -> Response:
    return _json(
        422, format_json({"error": str(error), "source": error.source, "path": error.path})
    )


def _unavailable(error: KernelError | UnavailableError) -> Response:
    return _json(503, format_json({"error": str(error), "reason": FAILED.value}))


def _http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, error.description or error.name)


def _error(status: int, text: str) -> Response:
    return _json(status, format_json({"error": text}))


def _json(status: int, body: str | bytes) -> Response:
    return Response(body, status=status, mimetype="application/json")


MAX_READ = 2 * MAX_BODY
"""Bytes of a body that are read; a longer one is 413."""
