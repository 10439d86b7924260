"""Questions to the extender: which nodes would take a pod, and whom it would have to preempt."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from http import HTTPStatus
from typing import Protocol

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.objects.fields import JsonObject

PATH = "/scheduler/dry-run"
PLAN_PATH = "/scheduler/preemption-plan"
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


@unique
class Outcome(StrEnum):
    """What the extender says of a pod that is to preempt others; a metric's label."""

    PLAN = "plan"
    FITS = "fits"
    """The pod fits, or will once pods have gone that are ending already."""
    NONE = "none"
    """No eviction of less critical pods would make it fit."""
    UNKNOWN = "unknown"
    """This replica of the extender has not been asked about the pod by kube-scheduler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVictim:
    """A pod that would have to go. ``criticality`` is the extender's word for it."""

    namespace: str
    name: str
    uid: str
    criticality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    """Where a pod would fit without which others; ``node`` and ``victims`` with a plan alone."""

    outcome: Outcome
    node: str = ""
    victims: tuple[PlannedVictim, ...] = ()


class PlanSource(Protocol):
    """The extender's plan of a preemption."""

    def plan(self, namespace: str, name: str, uid: str, protected: Collection[str]) -> PlanAnswer:
        """The cheapest plan without the pods of ``protected``, which are UIDs.

        Changes nothing there. Raises ``UnavailableError``.
        """
        ...

    def renew(self) -> None:
        """Ask over another connection from here on: another replica may answer."""
        ...


class ExtenderClient:
    """The extender's API, over mutual TLS."""

    def __init__(self, client: HttpClient) -> None:
        """``client`` knows the extender's address, certificate and patience."""
        self._client = client

    def ask(self, pod: JsonObject, nodes: Sequence[str]) -> FilterAnswer:
        """See ``Filter``."""
        body = {"Pod": pod, "Nodes": None, "NodeNames": list(nodes)}
        return _read(self._post(PATH, body))

    def plan(self, namespace: str, name: str, uid: str, protected: Collection[str]) -> PlanAnswer:
        """See ``PlanSource``."""
        body = {
            "PodUID": uid,
            "PodNamespace": namespace,
            "PodName": name,
            "Protected": sorted(protected),
        }
        return _read_plan(self._post(PLAN_PATH, body))

    def renew(self) -> None:
        """See ``PlanSource``."""
        self._client.close()

    def _post(self, path: str, body: object) -> bytes:
        status, data = self._client.request("POST", path, json.dumps(body).encode())
        if status != HTTPStatus.OK:
            raise UnavailableError(
                f"POST {path}: {status} {data[:_SHOWN].decode(errors='replace')}"
            )
        return data


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


def _read_plan(data: bytes) -> PlanAnswer:
    try:
        answer = json.loads(data)
        if answer["Error"]:
            raise UnavailableError(f"POST {PLAN_PATH}: {str(answer['Error'])[:_SHOWN]}")
        outcome = Outcome(answer["Outcome"])
        if outcome is not Outcome.PLAN:
            return PlanAnswer(outcome=outcome)
        victims = tuple(
            PlannedVictim(
                namespace=_name(one["Namespace"]),
                name=_name(one["Name"]),
                uid=_name(one["UID"]),
                criticality=str(one["Criticality"]),
            )
            for one in answer["Victims"] or ()
        )
        return PlanAnswer(outcome=outcome, node=_name(answer["Node"]), victims=victims)
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise UnavailableError(f"POST {PLAN_PATH}: the answer is no plan") from cause


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("expected a name")
    return value
