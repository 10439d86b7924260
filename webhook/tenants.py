"""Validating review with what the operator has set: RuntimeClasses, and the namespace's bounds.

Refused is what the namespace's Tenant could never allow, and a RuntimeClass other than the one that
the criticality needs. Before all Tenants have been listed nothing is refused for bounds: the
extender refuses it then.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from k40s.annotations import read_workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.kube.objects.fields import JsonObject
from k40s.kube.records import TenantRecord
from k40s.reasons import Reason
from k40s.tenants.assignment import Assignment
from k40s.tenants.at_apply import refusal_text
from k40s.tenants.ledger import TenantState
from k40s.tenants.need import need_of
from webhook.admission_review import Review, Verdict
from webhook.defaults import OUR_SCHEDULER, is_demanding, scheduler_of
from webhook.pod_parts import PodPart, find_pod_part
from webhook.validation import validate


class TenantBounds:
    """Handler of Tenants. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: Mapping[str, TenantState] = {}
        self.assignment = Assignment()
        """As it is now; never changed in place."""

    def replace(self, records: Sequence[TenantRecord]) -> None:
        """All Tenants."""
        self._take(lambda _: {one.key: one.state for one in records})

    def merge(self, records: Sequence[TenantRecord]) -> None:
        """Some of them."""
        self._take(lambda known: {**known, **{one.key: one.state for one in records}})

    def upsert(self, record: TenantRecord) -> None:
        """A Tenant is new or has changed."""
        self.merge([record])

    def delete(self, key: str) -> None:
        """A Tenant is gone."""
        self._take(lambda known: {name: one for name, one in known.items() if name != key})

    def _take(
        self, change: Callable[[Mapping[str, TenantState]], Mapping[str, TenantState]]
    ) -> None:
        with self._lock:
            self._states = change(self._states)
            self.assignment = Assignment.of(self._states.values())


def validate_within(
    review: Review,
    bounds: TenantBounds,
    classes: Mapping[Criticality, str] = MappingProxyType({}),
) -> Verdict:
    """As ``validate``; an object without a fault is then held to RuntimeClasses and bounds.

    ``classes`` are those that criticalities need. An update is refused only for what would not have
    been refused of the stored object.
    """
    verdict = validate(review)
    if verdict.refusal:
        return verdict
    found = _find_refusal(review, review.item, bounds.assignment, classes)
    if not found:
        return verdict
    former = review.former
    if former is not None and _find_refusal(review, former, bounds.assignment, classes):
        return verdict
    return replace(verdict, refusal=found)


def _find_refusal(
    review: Review,
    item: JsonObject,
    assignment: Assignment,
    classes: Mapping[Criticality, str],
) -> str:
    part = find_pod_part(review.group, review.kind, item)
    bounded = assignment.find(review.namespace) is not None
    if part is None or not (bounded or classes):
        return ""
    if not is_demanding(part) and scheduler_of(part) != OUR_SCHEDULER:
        return ""  # a scheduler places it that knows neither
    try:
        workload = read_workload(
            labels=part.metadata.labels,
            annotations=part.metadata.annotations,
            containers=part.containers,
            sidecars=part.sidecars,
            init_containers=part.init_containers,
        )
    except InvalidAnnotationError:
        return ""
    text = _class_refusal(part, classes.get(workload.criticality))
    if not text and bounded:
        text = refusal_text(assignment, need_of(workload, uid="", namespace=review.namespace))
    return f"{part.where}: {text}" if text and part.where else text


def _class_refusal(part: PodPart, needed: str | None) -> str:
    """What the extender says of another class; none at all may yet be filled in."""
    own = part.spec.get("runtimeClassName")
    if not needed or not own or own == needed:
        return ""
    return f"{Reason.ISOLATION_CLASS.value}: {Reason.ISOLATION_CLASS.text}"
