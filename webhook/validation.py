"""Validating review: what application teams wrote on a pod or a template, by the one parser.

The text of a refusal is the extender's (``k40s.annotations.refusal``); a template's says first
where it stands. A fault that the stored object has already is never a reason to refuse an update.
"""

from collections.abc import Iterator
from types import MappingProxyType

from k40s.annotations import (
    METRIC_KEY,
    NETWORK_KEY,
    TASKS_KEY,
    parse_network_requirements,
    parse_pod_metric,
    read_workload,
    unreached_keys,
)
from k40s.annotations.network import MAX_NETWORK_TEXT
from k40s.annotations.refusal import invalid_pod_text
from k40s.annotations.unknown_keys import MOST_NAMED, describe_unknown, unknown_keys
from k40s.annotations.workload import MAX_TASKS_TEXT
from k40s.errors import InvalidAnnotationError
from k40s.reasons import Reason
from webhook.admission_review import ALLOWED, Review, Verdict
from webhook.pod_parts import PodPart, find_pod_part

_LONGEST = MappingProxyType({TASKS_KEY: MAX_TASKS_TEXT, NETWORK_KEY: MAX_NETWORK_TEXT})
"""Characters that a text may have; more are not looked into, by the extender neither."""
_Fault = tuple[str, str, str]
"""Key, place in its value, and what was found there."""


def validate(review: Review) -> Verdict:
    """Refuse an object for the faults that it did not have before."""
    part = find_pod_part(review.group, review.kind, review.item)
    if part is None:
        return ALLOWED
    former = (
        None if review.former is None else find_pod_part(review.group, review.kind, review.former)
    )
    text = "; ".join(_new_faults(part, former))
    return Verdict(
        refusal=f"{part.where}: {text}" if text and part.where else text,
        warnings=tuple(_warnings(review.kind, part)),
    )


def _new_faults(part: PodPart, former: PodPart | None) -> list[str]:
    """The texts of what is wrong and was not before: unknown keys first, since they explain more.

    Only a few of many unknown keys are named, because each is compared with all that are right.
    """
    unknown, faults = _unknown_keys(part), _faults(part)
    if former is not None:
        known, stood = set(_unknown_keys(former)), _faults(former)
        unknown = [one for one in unknown if one not in known]
        faults = {fault: text for fault, text in faults.items() if fault not in stood}
    named = (_unknown_text(noun, key) for noun, key in unknown[:MOST_NAMED])
    return [*named, *faults.values()]


def _faults(part: PodPart) -> dict[_Fault, str]:
    """The refusal texts of a pod's contract, and of its metric.

    A fault is the same where something else would be right: what is expected may name containers.
    """
    found: dict[_Fault, str] = {}
    for check in (_check_contract, _check_metric):
        try:
            check(part)
        except InvalidAnnotationError as error:
            found[error.source, error.path, error.found] = invalid_pod_text(error)
    return found


def _check_contract(part: PodPart) -> None:
    """What the extender reads, in its order and of the same length."""
    annotations = dict(part.metadata.annotations)
    for key, longest in _LONGEST.items():
        if key in annotations:
            annotations[key] = annotations[key][: longest + 1]
    read_workload(
        labels=part.metadata.labels,
        annotations=annotations,
        containers=part.containers,
        sidecars=part.sidecars,
        init_containers=part.init_containers,
    )
    if NETWORK_KEY in annotations:
        parse_network_requirements(annotations[NETWORK_KEY])


def _check_metric(part: PodPart) -> None:
    metric = part.metadata.annotations.get(METRIC_KEY)
    if metric is not None:
        parse_pod_metric(metric)


def _unknown_keys(part: PodPart) -> list[tuple[str, str]]:
    return unknown_keys(labels=part.metadata.labels, annotations=part.metadata.annotations)


def _unknown_text(noun: str, key: str) -> str:
    return f"{Reason.POD_INVALID.value}: {describe_unknown(noun, key)}"


def _warnings(kind: str, part: PodPart) -> Iterator[str]:
    unreached = {
        key: None
        for level in part.above
        for key in unreached_keys(
            labels=level.labels,
            annotations=level.annotations,
            pod_labels=part.metadata.labels,
            pod_annotations=part.metadata.annotations,
        )
    }
    for key in unreached:
        yield f"{key} on the {kind} itself reaches no pod: it belongs into {part.where}.metadata"
