"""Asks the extender which nodes would take a pod, by the same JSON as kube-scheduler's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.objects.fields import JsonObject

PATH = "/scheduler/dry-run"
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterAnswer:
    """Nodes that would take the pod, and the text of each refusal."""

    fit: tuple[str, ...]
    refused: Mapping[str, str]


class Filter(Protocol):
    """The extender's filter, asked about a pod that runs already."""

    def ask(self, pod: JsonObject, nodes: Sequence[str]) -> FilterAnswer:
        """What it would answer. Changes nothing there. Raises ``UnavailableError``."""
        ...


class ExtenderClient:
    """The extender's API, over mutual TLS."""

    def __init__(self, client: HttpClient) -> None:
        """``client`` knows the extender's address, certificate and patience."""
        self._client = client

    def ask(self, pod: JsonObject, nodes: Sequence[str]) -> FilterAnswer:
        """See ``Filter``."""
        body = json.dumps({"Pod": pod, "Nodes": None, "NodeNames": list(nodes)}).encode()
        status, data = self._client.request("POST", PATH, body)
        if status != HTTPStatus.OK:
            raise UnavailableError(
                f"POST {PATH}: {status} {data[:_SHOWN].decode(errors='replace')}"
            )
        return _read(data)


def _read(data: bytes) -> FilterAnswer:
    try:
        answer = json.loads(data)
        error, names = answer["Error"], answer["NodeNames"] or []
        refused = {
            **(answer["FailedNodes"] or {}),
            **(answer["FailedAndUnresolvableNodes"] or {}),
        }
        if error:
            raise UnavailableError(f"POST {PATH}: {str(error)[:_SHOWN]}")
        return FilterAnswer(
            fit=tuple(map(str, names)),
            refused={str(name): str(text) for name, text in refused.items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise UnavailableError(f"POST {PATH}: the answer is no ExtenderFilterResult") from cause
