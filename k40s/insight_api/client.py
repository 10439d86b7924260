"""Asks insight for explanations, with the caller's own token."""

import json
import re
from http import HTTPStatus

from k40s.errors import InvalidInputError, K40sError, UnavailableError
from k40s.explanation.json import MAX_CHARACTERS, Told, parse_told
from k40s.http.client import HttpClient
from k40s.kube.objects.fields import JsonObject
from k40s.strict_json import read_json
from k40s.units import NS_PER_S, Nanoseconds

MAX_ANSWER = MAX_CHARACTERS
"""Bytes of an answer that are read."""
TIMEOUT = Nanoseconds(20 * NS_PER_S)
"""Of a call: an explanation waits for another one to end."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_ANY = re.compile(r".*", re.DOTALL)
_SHOWN = 200
_OF_CALLER = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses that the caller can do something about."""


class RefusedByInsightError(K40sError):
    """insight refuses what the caller asks for: no right, no such pod, no valid manifest."""


class InsightClient:
    """Methods raise ``RefusedByInsightError``, ``UnavailableError`` and ``InvalidInputError``."""

    def __init__(self, client: HttpClient) -> None:
        """``client`` knows the server, whom it trusts, and the token."""
        self._client = client

    def explain_pod(self, namespace: str, name: str) -> Told:
        """Why a pod does not run, or how it does."""
        _check(namespace, "--namespace", "a namespace")
        _check(name, "POD", "a pod's name")
        return self._ask("GET", f"/v1/namespaces/{namespace}/pods/{name}/explanation")

    def explain_manifest(self, namespace: str, pod: JsonObject) -> Told:
        """What filter would say of a Pod that does not exist yet."""
        _check(namespace, "--namespace", "a namespace")
        path = f"/v1/namespaces/{namespace}/explanations"
        return self._ask("POST", path, json.dumps(pod).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Told:
        status, data = self._client.request(method, path, body)
        text = data.decode(errors="replace")
        if status == HTTPStatus.OK:
            try:
                return parse_told(text, source=f"answer to {method} {path}")
            except InvalidInputError as error:
                raise UnavailableError(str(error)) from error
        said = f"insight: {_sentence(text)} (status {status})"
        if status in _OF_CALLER:
            raise RefusedByInsightError(said)
        raise UnavailableError(said)


def _sentence(text: str) -> str:
    """The ``error`` of an answer, or the beginning of what there is instead."""
    try:
        field = read_json(text, source="answer", error=InvalidInputError).members()
        return field["error"].text(_ANY, "a text")
    except (InvalidInputError, KeyError):
        return text[:_SHOWN] or "no text"


def _check(name: str, source: str, expected: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise InvalidInputError(source=source, path="$", found=name, expected=expected)
