"""``ExtenderFilterResult``: which candidates fit, and a text for each of the others."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from extender.cache.snapshot import Snapshot
from extender.placement.candidates import Split
from extender.placement.refusal_texts import TEXTS, name_hazards
from extender.protocol import ExtenderArgs, encode
from k40s.reasons import Reason

R = TypeVar("R", bound=Hashable)

_NEXT = '","'


def format_split(args: ExtenderArgs, split: Split, snapshot: Snapshot) -> bytes:
    """Writes ``ExtenderFilterResult`` with the text of each reason, and the hazards of nodes.

    Of ``snapshot`` they may be older than the refusal by one change of the node.
    """
    if Reason.ASSURANCE_HAZARD not in split.refused.values():
        return format_filter_result(args, split.fit, split.refused, TEXTS)
    named = name_hazards(split.refused, snapshot)
    return format_filter_result(args, split.fit, named, {text: text for text in named.values()})


def format_filter_result(
    args: ExtenderArgs, fit: Sequence[str], refused: Mapping[str, R], texts: Mapping[R, str]
) -> bytes:
    """Writes ``ExtenderFilterResult``, in the form of the request: ``NodeNames`` or ``Nodes``.

    Every candidate is in ``fit`` or ``refused``; ``texts`` has the text of each reason. Refusals go
    to FailedAndUnresolvableNodes: preemption cannot help a pod that only the extender refused, and
    trying it makes kube-scheduler retry without pause.
    """
    kept_names, kept_nodes = _format_names(fit), "null"
    if args.items is not None:
        wanted = set(fit)
        kept = [item for name, item in zip(args.names, args.items, strict=True) if name in wanted]
        kept_names, kept_nodes = "null", encode({"metadata": {}, "items": kept})
    return "".join(
        [
            f'{{"Nodes":{kept_nodes},"NodeNames":{kept_names},"FailedNodes":{{}},',
            '"FailedAndUnresolvableNodes":{',
            *_refusals(refused, texts),
            '},"Error":""}',
        ]
    ).encode()


def _format_names(names: Sequence[str]) -> str:
    """Writes an array of names."""
    return f'["{_join(names, _NEXT)}"]' if names else "[]"


def _refusals(refused: Mapping[str, R], texts: Mapping[R, str]) -> list[str]:
    """Members of a JSON object, name -> text, in pieces: few texts, many names."""
    reasons = set(refused.values())
    pieces: list[str] = []
    for reason in reasons:
        text = encode(texts[reason])
        names = [*refused]
        if len(reasons) > 1:
            names = [name for name, why in refused.items() if why == reason]
        pieces += [',"' if pieces else '"', _join(names, f'":{text},"'), f'":{text}']
    return pieces


def _join(names: Sequence[str], between: str) -> str:
    """Joins names as they stand inside quotes; real ones need no escapes."""
    bare = "".join(names)
    if bare.isascii() and bare.isprintable() and '"' not in bare and "\\" not in bare:
        return between.join(names)
    return between.join([encode(name)[1:-1] for name in names])


def format_filter_fault(text: str) -> bytes:
    """Writes an ``ExtenderFilterResult`` that ends the scheduling cycle with an error."""
    return encode(
        {
            "Nodes": None,
            "NodeNames": None,
            "FailedNodes": {},
            "FailedAndUnresolvableNodes": {},
            "Error": text,
        }
    ).encode()
