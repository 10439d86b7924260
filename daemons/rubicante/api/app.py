"""The routes of the node's HTTP API (docs/http-api.md). The server authenticates clients."""

import json

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from daemons.rubicante.api import openapi
from daemons.rubicante.api.failures import reason_of
from daemons.rubicante.api.reservations import Reservations
from daemons.rubicante.cluster.node_state import NodeState
from daemons.rubicante.mechanisms.back_end import UID
from k40s.annotations.workload import MAX_TASKS
from k40s.errors import InvalidInputError, KernelError, UnavailableError
from k40s.node_api.messages import (
    MAX_BODY,
    PodRef,
    ReservationRequest,
    format_admission_answer,
    parse_reservation_request,
)
from k40s.strict_json import format_json


def create_app(*, reservations: Reservations, state: NodeState) -> Flask:
    """The WSGI application."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_READ
    description = format_json(openapi.document())

    @app.get("/v1/openapi.json")
    def describe() -> Response:
        return _json(200, description)

    @app.get("/v1/state")
    def read_state() -> Response:
        form = request.args.get("form", openapi.READABLE)
        if form not in openapi.FORMS:
            expected = " or ".join(openapi.FORMS)
            raise InvalidInputError(
                source="request query", path="form", found=form, expected=expected
            )
        published = form == openapi.PUBLISHED
        return _json(200, state.published_whole() if published else state.document())

    @app.post("/v1/admission")
    def preview() -> Response:
        answer = reservations.preview(_request(None))
        return _json(200, format_admission_answer(answer))

    @app.put("/v1/reservations/<pod_uid>")
    def reserve(pod_uid: str) -> Response:
        answer, created = reservations.reserve(_request(_uid(pod_uid)), _attempt())
        granted = 201 if created else 200
        return _json(granted if answer.schedulable else 409, format_admission_answer(answer))

    @app.delete("/v1/reservations/<pod_uid>")
    def release(pod_uid: str) -> Response:
        if reservations.release(_uid(pod_uid), _attempt()):
            return Response(status=204)
        return _error(409, "the pod is bound here: its reservation ends with it")

    app.register_error_handler(InvalidInputError, _invalid)
    app.register_error_handler(KernelError, _unavailable)
    app.register_error_handler(UnavailableError, _unavailable)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _request(pod_uid: str | None) -> ReservationRequest:
    body = request.get_data(cache=False)
    if len(body) > MAX_BODY:
        raise _too_long(body)
    parsed = parse_reservation_request(body, pod_uid=pod_uid)
    _check_uid(parsed.pod)
    return parsed


def _too_long(body: bytes) -> InvalidInputError:
    """The error for a body above the limit: too many tasks, or else its size."""
    try:
        whole = json.loads(body)
        tasks = whole["tasks"]
        number = len(tasks) if isinstance(tasks, list) else 0
    except (ValueError, LookupError, TypeError, RecursionError):
        number = 0
    path, found, expected = "$", len(body), f"at most {MAX_BODY} bytes"
    if number > MAX_TASKS:
        path, found, expected = "$.tasks", number, f"at most {MAX_TASKS} tasks"
    return InvalidInputError(source="request body", path=path, found=found, expected=expected)


def _uid(text: str) -> str:
    if UID.fullmatch(text) is None:
        raise InvalidInputError(source="request path", path="$", found=text, expected=_UID_FORM)
    return text


def _attempt() -> str:
    """The attempt that reserves or is withdrawn; "" without one."""
    text = request.args.get("attempt", "")
    if text and openapi.ATTEMPT.fullmatch(text) is None:
        raise InvalidInputError(
            source="request query",
            path="attempt",
            found=text,
            expected="1 to 64 letters, digits and hyphens",
        )
    return text


def _check_uid(pod: PodRef) -> None:
    """A pod's UID becomes part of a cgroup's name."""
    if UID.fullmatch(pod.uid) is None:
        raise InvalidInputError(
            source="request body", path="$.pod.uid", found=pod.uid, expected=_UID_FORM
        )


def _invalid(error: InvalidInputError) -> Response:
    return _json(
        422,
        format_json({"error": str(error), "source": error.source, "path": error.path}),
    )


def _unavailable(error: KernelError | UnavailableError) -> Response:
    text = {"error": str(error), "reason": reason_of(error).value}
    return _json(503, format_json(text))


def _http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, error.description or error.name)


def _error(status: int, text: str) -> Response:
    return _json(status, format_json({"error": text}))


def _json(status: int, body: str | bytes) -> Response:
    return Response(body, status=status, mimetype="application/json")


MAX_READ = 2 << 20
"""Bytes of a body that are read; a longer one is 413."""
_UID_FORM = "a UUID in lower case, as the API server gives pods"
