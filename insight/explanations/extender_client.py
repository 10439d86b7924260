"""The extender's explanation of a pod, over mutual TLS."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

from insight.answers import RefusalError
from k40s.errors import InvalidInputError, UnavailableError
from k40s.explanation.json import parse_explanation
from k40s.explanation.model import Explanation
from k40s.http.client import HttpClient
from k40s.kube.objects.fields import JsonObject

PATH = "/scheduler/explain"
_SHOWN = 200


class Explainer(Protocol):
    """Explains what filter would answer for a pod on each of these nodes."""

    def explain(self, pod: JsonObject, nodes: Sequence[str]) -> Explanation:
        """Changes nothing there. Raises ``UnavailableError``, ``RefusalError`` for a bad pod."""
        ...


class ExtenderClient:
    """``Explainer`` of the extender."""

    def __init__(self, client: HttpClient) -> None:
        """``client`` knows the extender's address, certificate and patience."""
        self._client = client

    def explain(self, pod: JsonObject, nodes: Sequence[str]) -> Explanation:
        """See ``Explainer``."""
        status, data = self._client.request("POST", PATH, _body(pod, nodes))
        text = data.decode(errors="replace")
        if status == HTTPStatus.BAD_REQUEST:  # of the pod, since all else of the body is ours
            raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, _cause(text))
        if status != HTTPStatus.OK:
            raise UnavailableError(f"POST {PATH}: {status} {text[:_SHOWN]}")
        try:
            return parse_explanation(text, source=f"POST {PATH}")
        except InvalidInputError as error:
            raise UnavailableError(str(error)) from error


def _body(pod: JsonObject, nodes: Sequence[str]) -> bytes:
    try:
        return json.dumps({"Pod": pod, "Nodes": None, "NodeNames": list(nodes)}).encode()
    except RecursionError:  # writing takes some more depth than reading took
        text = "the Pod's manifest is nested too deeply"
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, text) from None


def _cause(text: str) -> str:
    """The error that an answer names, or its beginning."""
    try:
        found = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        found = text
    return str(found)[:_SHOWN]
