"""The JSON of kube-scheduler's extender protocol <-> values.

Keys are Go field names (k8s.io/kube-scheduler/extender/v1/types.go carries no json tags), unknown
keys are ignored, and a reply has the form of its request: ``NodeNames`` or ``Nodes``. Whatever
cannot be understood raises ``InvalidInputError`` with source "request body".
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any, TypeVar

from k40s.errors import InvalidInputError

SOURCE = "request body"
R = TypeVar("R", bound=Hashable)

_encode = json.JSONEncoder(separators=(",", ":")).encode
_NEXT = '","'


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What the extender reads of a Pod."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    containers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtenderArgs:
    """A pod and the candidate nodes. ``items`` are the whole Node objects where they were sent."""

    pod: PodFacts
    names: Sequence[str]
    items: Sequence[object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingArgs:
    """A pod to be bound to a node."""

    uid: str
    namespace: str
    name: str
    node: str


def parse_extender_args(body: bytes) -> ExtenderArgs:
    """Read the body of filter and prioritize (``ExtenderArgs``)."""
    whole = _read_object(_decode(body), "$")
    pod = _read_pod(_read_object(whole.get("Pod"), "$.Pod"))
    names = whole.get("NodeNames")
    if names is not None:
        return ExtenderArgs(pod=pod, names=_read_strings(names, "$.NodeNames"))
    nodes = whole.get("Nodes")
    if nodes is None:
        return ExtenderArgs(pod=pod, names=())
    items = _read_list(_read_object(nodes, "$.Nodes").get("items"), "$.Nodes.items")
    found = [_read_metadata(item, f"$.Nodes.items[{i}]") for i, item in enumerate(items)]
    named = [
        _read_text(meta.get("name"), f"$.Nodes.items[{i}].metadata.name")
        for i, meta in enumerate(found)
    ]
    return ExtenderArgs(pod=pod, names=named, items=items)


def parse_binding_args(body: bytes) -> BindingArgs:
    """Read the body of bind (``ExtenderBindingArgs``)."""
    whole = _read_object(_decode(body), "$")
    return BindingArgs(
        uid=_read_text(whole.get("PodUID"), "$.PodUID"),
        namespace=_read_text(whole.get("PodNamespace"), "$.PodNamespace"),
        name=_read_text(whole.get("PodName"), "$.PodName"),
        node=_read_text(whole.get("Node"), "$.Node"),
    )


def format_filter_result(
    args: ExtenderArgs, fit: Sequence[str], refused: Mapping[str, R], texts: Mapping[R, str]
) -> bytes:
    """Write ``ExtenderFilterResult``: every candidate is in ``fit``, or in ``refused`` with why.

    ``texts`` has the text of each reason that occurs. Refusals go to FailedAndUnresolvableNodes:
    preemption cannot help a pod that only the extender refused, and trying it makes
    kube-scheduler retry without pause.
    """
    kept_names, kept_nodes = _format_names(fit), "null"
    if args.items is not None:
        wanted = set(fit)
        kept = [item for name, item in zip(args.names, args.items, strict=True) if name in wanted]
        kept_names, kept_nodes = "null", _encode({"metadata": {}, "items": kept})
    return "".join(
        [
            f'{{"Nodes":{kept_nodes},"NodeNames":{kept_names},"FailedNodes":{{}},',
            '"FailedAndUnresolvableNodes":{',
            *_refusals(refused, texts),
            '},"Error":""}',
        ]
    ).encode()


def _format_names(names: Sequence[str]) -> str:
    """Write an array of names."""
    return f'["{_join(names, _NEXT)}"]' if names else "[]"


def _refusals(refused: Mapping[str, R], texts: Mapping[R, str]) -> list[str]:
    """Members of a JSON object, name -> text, in pieces: few texts, many names."""
    reasons = set(refused.values())
    pieces: list[str] = []
    for reason in reasons:
        text = _encode(texts[reason])
        names = [*refused]
        if len(reasons) > 1:
            names = [name for name, why in refused.items() if why == reason]
        pieces += [',"' if pieces else '"', _join(names, f'":{text},"'), f'":{text}']
    return pieces


def _join(names: Sequence[str], between: str) -> str:
    """Join names as they stand inside quotes; those without need of escapes, as all real ones."""
    bare = "".join(names)
    if bare.isascii() and bare.isprintable() and '"' not in bare and "\\" not in bare:
        return between.join(names)
    return between.join([_encode(name)[1:-1] for name in names])


def format_filter_fault(text: str) -> bytes:
    """Write an ``ExtenderFilterResult`` that ends the scheduling cycle in an error."""
    return _encode(
        {
            "Nodes": None,
            "NodeNames": None,
            "FailedNodes": {},
            "FailedAndUnresolvableNodes": {},
            "Error": text,
        }
    ).encode()


def format_binding_result(error: str = "") -> bytes:
    """Write ``ExtenderBindingResult``; an empty error says that the pod is bound."""
    return _encode({"Error": error}).encode()


class PriorityWriter:
    """Writes ``HostPriorityList``, and keeps the text of each (host, score) for the next time."""

    def __init__(self, *, highest: int = 10, hosts: int = 20_000) -> None:
        self._scores = range(highest + 1)
        self._hosts = hosts
        self._written: dict[str, tuple[str, ...]] = {}

    def format(self, names: Sequence[str], scores: Sequence[int]) -> bytes:
        """Write the score of each name, in the same order."""
        written = self._written
        try:
            known = list(map(written.__getitem__, names))
        except KeyError:
            self._learn(names)
            return self.format(names, scores)
        return f"[{','.join(map(getitem, known, scores))}]".encode()

    def _learn(self, names: Sequence[str]) -> None:
        kept = {} if len(self._written) + len(names) > self._hosts else dict(self._written)
        for name in names:
            head = f'{{"Host":{_encode(name)},"Score":'
            kept[name] = tuple(f"{head}{score}}}" for score in self._scores)
        self._written = kept


def _decode(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("$", "what is not JSON", f"JSON ({error})") from None


def _read_pod(pod: Mapping[str, Any]) -> PodFacts:
    meta = _read_metadata(pod, "$.Pod")
    spec = _read_object(pod.get("spec"), "$.Pod.spec")
    containers = _read_list(spec.get("containers"), "$.Pod.spec.containers")
    return PodFacts(
        uid=_read_text(meta.get("uid"), "$.Pod.metadata.uid"),
        namespace=_read_text(meta.get("namespace"), "$.Pod.metadata.namespace"),
        name=_read_text(meta.get("name"), "$.Pod.metadata.name"),
        labels=_read_map(meta.get("labels"), "$.Pod.metadata.labels"),
        annotations=_read_map(meta.get("annotations"), "$.Pod.metadata.annotations"),
        containers=tuple(
            _read_text(
                _read_object(item, f"$.Pod.spec.containers[{i}]").get("name"),
                f"$.Pod.spec.containers[{i}].name",
            )
            for i, item in enumerate(containers)
        ),
    )


def _read_metadata(value: object, path: str) -> Mapping[str, Any]:
    return _read_object(_read_object(value, path).get("metadata"), f"{path}.metadata")


def _read_map(value: object, path: str) -> Mapping[str, str]:
    if value is None:
        return {}
    members = _read_object(value, path)
    if not {str}.issuperset(map(type, members.values())):
        raise _invalid(path, value, "an object of strings")
    return members


def _read_strings(value: object, path: str) -> Sequence[str]:
    items = _read_list(value, path)
    try:
        "".join(items)
    except TypeError:
        raise _invalid(path, items, "an array of strings") from None
    return items


def _read_list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(path, value, "an array")
    return value


def _read_object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(path, value, "an object")
    return value


def _read_text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(path, value, "a string that is not empty")
    return value


def _invalid(path: str, found: object, expected: str) -> InvalidInputError:
    return InvalidInputError(source=SOURCE, path=path, found=found, expected=expected)
