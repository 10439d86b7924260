"""What a Pod asks of its node, and what a Node offers: the parts that in-tree filters look at."""

from k40s.assurance.migration.placement import (
    Constraints,
    NodeOffer,
    Requirement,
    Taint,
    Toleration,
)
from k40s.kube.objects.fields import Fields, JsonObject, names
from k40s.kube.objects.pod_requests import cpu_request_millis
from k40s.kube.objects.quantity import NANO, parse_quantity

_FIELD = "constraints"


def pod_constraints(item: JsonObject) -> tuple[Constraints, str]:
    """What a pod asks for, and the first field that could not be read, or ""."""
    fields = Fields()
    spec = fields.part(_FIELD, "spec", item.get("spec"))
    affinity = fields.part(_FIELD, "spec.affinity", spec.get("affinity"))
    node = fields.part(_FIELD, "spec.affinity.nodeAffinity", affinity.get("nodeAffinity"))
    required = fields.part(
        _FIELD,
        "spec.affinity.nodeAffinity.required",
        node.get("requiredDuringSchedulingIgnoredDuringExecution"),
    )
    path = "spec.affinity.nodeAffinity.required.nodeSelectorTerms"
    found = Constraints(
        # A replacement is a new pod: what a resize has allocated to this one does not count.
        cpu_millis=cpu_request_millis(fields, spec, {}),
        selector=fields.texts(
            _FIELD,
            "spec.nodeSelector",
            fields.part(_FIELD, "spec.nodeSelector", spec.get("nodeSelector")),
        ),
        affinity=tuple(
            _term(fields, place, term)
            for place, term in fields.parts(_FIELD, path, required.get("nodeSelectorTerms"))
        ),
        tolerations=tuple(
            _toleration(fields, place, one)
            for place, one in fields.parts(_FIELD, "spec.tolerations", spec.get("tolerations"))
        ),
    )
    return found, fields.faults[0].text if fields.faults else ""


def node_offer(item: JsonObject) -> NodeOffer:
    """Read a Node; allocatable CPU that cannot be read is none. Raises ``NamelessError``."""
    (name,) = names(item, "name")
    fields = Fields()
    meta = fields.part(_FIELD, "metadata", item.get("metadata"))
    spec = fields.part(_FIELD, "spec", item.get("spec"))
    status = fields.part(_FIELD, "status", item.get("status"))
    allocatable = fields.part(_FIELD, "status.allocatable", status.get("allocatable"))
    return NodeOffer(
        name=name,
        labels=fields.texts(
            _FIELD, "metadata.labels", fields.part(_FIELD, "metadata.labels", meta.get("labels"))
        ),
        taints=tuple(
            Taint(
                key=fields.text(_FIELD, f"{place}.key", one.get("key")),
                value=fields.text(_FIELD, f"{place}.value", one.get("value")),
                effect=fields.text(_FIELD, f"{place}.effect", one.get("effect")),
            )
            for place, one in fields.parts(_FIELD, "spec.taints", spec.get("taints"))
        ),
        cpu_millis=_millis(allocatable.get("cpu")),
    )


def _term(fields: Fields, place: str, term: JsonObject) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(
            key=fields.text(_FIELD, f"{at}.key", one.get("key")),
            operator=fields.text(_FIELD, f"{at}.operator", one.get("operator")),
            values=tuple(map(str, one.get("values") or ())),
        )
        for key in ("matchExpressions", "matchFields")
        for at, one in fields.parts(_FIELD, f"{place}.{key}", term.get(key))
    )


def _toleration(fields: Fields, place: str, one: JsonObject) -> Toleration:
    return Toleration(
        key=fields.text(_FIELD, f"{place}.key", one.get("key")),
        exists=one.get("operator") == "Exists",
        value=fields.text(_FIELD, f"{place}.value", one.get("value")),
        effect=fields.text(_FIELD, f"{place}.effect", one.get("effect")),
    )


def _millis(quantity: object) -> int:
    try:
        return parse_quantity(str(quantity)) // (NANO // 1000)
    except ValueError:
        return 0
