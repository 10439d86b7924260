"""AdmissionReview (admission.k8s.io/v1): the API server's question, and the answer's JSON.

An invalid body raises ``InvalidInputError`` with source "request body".
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from k40s.errors import InvalidInputError
from k40s.kube.objects.fields import JsonObject

SOURCE = "request body"
API_VERSION = "admission.k8s.io/v1"
CREATE = "CREATE"
UPDATE = "UPDATE"

JsonPatch = Sequence[JsonObject]
"""Operations of RFC 6902."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What is asked. ``former`` is the object as it is stored, in an update.

    ``namespace`` is "" for an object of the whole cluster.
    """

    uid: str
    group: str
    kind: str
    operation: str
    item: JsonObject
    former: JsonObject | None = None
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer: ``refusal`` is "" where it is allowed; ``warnings`` are shown to the user."""

    refusal: str = ""
    warnings: tuple[str, ...] = ()
    patch: JsonPatch = ()


ALLOWED = Verdict()


def parse_review(body: bytes) -> Review:
    """Read the API server's request."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        raise _invalid("$", "what is not JSON", "an AdmissionReview") from None
    whole = _object(whole, "$")
    if whole.get("apiVersion") != API_VERSION:
        raise _invalid("$.apiVersion", whole.get("apiVersion"), API_VERSION)
    request = _object(whole.get("request"), "$.request")
    kind = _object(request.get("kind"), "$.request.kind")
    former = request.get("oldObject")
    return Review(
        uid=_text(request.get("uid"), "$.request.uid"),
        group=str(kind.get("group") or ""),
        kind=_text(kind.get("kind"), "$.request.kind.kind"),
        operation=_text(request.get("operation"), "$.request.operation"),
        item=_object(request.get("object"), "$.request.object"),
        namespace=str(request.get("namespace") or ""),
        former=None if former is None else _object(former, "$.request.oldObject"),
    )


def format_answer(uid: str, verdict: Verdict) -> bytes:
    """Write the API server's AdmissionReview back, with the response alone."""
    response: dict[str, object] = {"uid": uid, "allowed": not verdict.refusal}
    if verdict.refusal:
        response["status"] = {
            "code": HTTPStatus.UNPROCESSABLE_ENTITY.value,
            "reason": "Invalid",
            "message": verdict.refusal,
        }
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    if verdict.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(list(verdict.patch)).encode()).decode()
    answer = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    return json.dumps(answer).encode()


def _object(value: Any, path: str) -> JsonObject:  # noqa: ANN401  # decoded JSON
    if not isinstance(value, dict):
        raise _invalid(path, value, "an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(path, value, "a string that is not empty")
    return value


def _invalid(path: str, found: object, expected: str) -> InvalidInputError:
    return InvalidInputError(source=SOURCE, path=path, found=found, expected=expected)
