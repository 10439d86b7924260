"""PodDisruptionBudgets: which pods they select, and how many of these may go now."""

from collections.abc import Mapping
from dataclasses import dataclass

from k40s.assurance.migration.placement import Requirement
from k40s.kube.objects.fields import Fields, JsonObject, NamelessError, names

_FIELD = "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRecord:
    """A PodDisruptionBudget; ``selector`` is None where it selects nobody.

    ``allowed`` pods may be disrupted now. ``spares_unready``: a pod that is not ready may go
    without counting. One that cannot be read selects all pods of its namespace and allows none.
    """

    namespace: str
    name: str
    selector: tuple[Requirement, ...] | None
    allowed: int
    spares_unready: bool = False

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod of its namespace with these labels is one of its pods."""
        return self.selector is not None and all(one.holds(labels) for one in self.selector)


def budget_record(item: JsonObject) -> BudgetRecord:
    """Read a policy/v1 PodDisruptionBudget. Raises ``NamelessError``."""
    namespace, name = names(item, "namespace", "name")
    fields = Fields()
    spec = fields.part(_FIELD, "spec", item.get("spec"))
    status = fields.part(_FIELD, "status", item.get("status"))
    allowed = _whole(fields, status, "disruptionsAllowed")
    healthy = _whole(fields, status, "currentHealthy")
    desired = _whole(fields, status, "desiredHealthy")
    meta = fields.part(_FIELD, "metadata", item.get("metadata"))
    seen, generation = status.get("observedGeneration", 0), meta.get("generation", 0)
    current = isinstance(seen, int) and isinstance(generation, int) and seen >= generation
    selector = _selector(fields, spec)
    if fields.faults:
        return BudgetRecord(namespace=namespace, name=name, selector=(), allowed=0)
    policy = spec.get("unhealthyPodEvictionPolicy")
    return BudgetRecord(
        namespace=namespace,
        name=name,
        selector=selector,
        # The Eviction API refuses everything until the status is of the present declaration.
        allowed=allowed if current else 0,
        spares_unready=policy == "AlwaysAllow" or (current and desired > 0 and healthy >= desired),
    )


def budget_records(answer: JsonObject) -> tuple[BudgetRecord, ...]:
    """Read a list of them. Raises ``NamelessError`` for one without its name."""
    items = answer.get("items")
    if not isinstance(items, list):
        raise NamelessError("a list without items")
    return tuple(budget_record(one if isinstance(one, dict) else {}) for one in items)


def _selector(fields: Fields, spec: JsonObject) -> tuple[Requirement, ...] | None:
    if spec.get("selector") is None:
        return None
    path = "spec.selector"
    selector = fields.part(_FIELD, path, spec.get("selector"))
    part = fields.part(_FIELD, f"{path}.matchLabels", selector.get("matchLabels"))
    labels = fields.texts(_FIELD, f"{path}.matchLabels", part)
    expressions = fields.parts(_FIELD, f"{path}.matchExpressions", selector.get("matchExpressions"))
    return (
        *(Requirement(key=key, operator="In", values=(value,)) for key, value in labels.items()),
        *(
            Requirement(
                key=fields.text(_FIELD, f"{at}.key", one.get("key")),
                operator=fields.text(_FIELD, f"{at}.operator", one.get("operator")),
                values=_texts(fields, f"{at}.values", one.get("values")),
            )
            for at, one in expressions
        ),
    )


def _texts(fields: Fields, path: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(fields.text(_FIELD, f"{path}[{at}]", one) for at, one in enumerate(value))
    fields.refuse(_FIELD, path, value, "an array")
    return ()


def _whole(fields: Fields, status: JsonObject, name: str) -> int:
    found = status.get(name, 0)
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    fields.refuse(_FIELD, f"status.{name}", found, "a whole number")
    return 0
