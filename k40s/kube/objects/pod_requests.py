"""The CPU that a pod requests, as kube-scheduler counts it.

``k8s.io/component-helpers/resource.PodRequests`` of Kubernetes 1.35 says how: containers run
together, and with the restartable init containers ("sidecars"); an ordinary init container runs
together with the sidecars before it; the larger of the two counts. Requests of the pod as a whole
replace that sum, and the overhead of its runtime class comes on top. While a container is resized,
the largest of what it asks for, what it was allocated, and what it has counts.
"""

from collections.abc import Mapping

from k40s.kube.objects.fields import Fields, JsonObject
from k40s.kube.objects.quantity import NANO, parse_quantity

FIELD = "cpu_request_millis"
"""The record's field that the sum becomes."""
UNREADABLE = NANO
"""A quantity that cannot be read counts as one CPU: more than most containers ask for."""

_NANOS_PER_MILLI = NANO // 1000


def cpu_request_millis(fields: Fields, spec: JsonObject, status: JsonObject) -> int:
    """Thousandths of a CPU, rounded up. What cannot be read is a fault of ``FIELD``.

    A pod with such a fault counts at least ``UNREADABLE``.
    """
    own = _cpu(fields, "spec.resources.requests", _requests(fields, "spec", spec))
    total = _of_containers(fields, spec, status) if own is None else own
    overhead = fields.part(FIELD, "spec.overhead", spec.get("overhead"))
    total += _cpu(fields, "spec.overhead", overhead) or 0
    if any(fault.field == FIELD for fault in fields.faults):
        total = max(total, UNREADABLE)
    return -(-total // _NANOS_PER_MILLI)


def _of_containers(fields: Fields, spec: JsonObject, status: JsonObject) -> int:
    requests = _Requests(fields, status)
    running = sidecars = highest = 0
    containers = spec.get("containers")
    if containers is None:
        fields.refuse(FIELD, "spec.containers", None, "an array")
    for path, container in fields.parts(FIELD, "spec.containers", containers):
        running += requests.of(path, container, resizable=True)
    for path, container in fields.parts(FIELD, "spec.initContainers", spec.get("initContainers")):
        is_sidecar = container.get("restartPolicy") == "Always"
        request = requests.of(path, container, resizable=is_sidecar)
        highest = max(highest, sidecars + request)
        if is_sidecar:
            sidecars += request
    return max(running + sidecars, highest)


class _Requests:
    """The counted request of each container of one pod, by its spec and its status."""

    def __init__(self, fields: Fields, status: JsonObject) -> None:
        self._fields = fields
        self._statuses: dict[str, tuple[str, JsonObject]] = {}
        for key in ("containerStatuses", "initContainerStatuses"):
            for path, state in fields.parts(FIELD, f"status.{key}", status.get(key)):
                if isinstance(name := state.get("name"), str):
                    self._statuses[name] = (path, state)
        conditions = fields.parts(FIELD, "status.conditions", status.get("conditions"))
        pending = (c for _, c in conditions if c.get("type") == "PodResizePending")
        self._infeasible = next(pending, {}).get("reason") == "Infeasible"

    def of(self, path: str, container: JsonObject, *, resizable: bool) -> int:
        fields = self._fields
        wanted = _cpu(fields, f"{path}.resources.requests", _requests(fields, path, container))
        name = container.get("name")
        if not resizable or not isinstance(name, str) or name not in self._statuses:
            return wanted or 0
        place, state = self._statuses[name]
        if state.get("resources") is None:
            return wanted or 0
        allocated = fields.part(
            FIELD, f"{place}.allocatedResources", state.get("allocatedResources")
        )
        has = (
            _cpu(fields, f"{place}.resources.requests", _requests(fields, place, state)),
            _cpu(fields, f"{place}.allocatedResources", allocated),
        )
        return max(0, *(figure or 0 for figure in has), 0 if self._infeasible else wanted or 0)


def _requests(fields: Fields, path: str, holder: JsonObject) -> JsonObject:
    resources = fields.part(FIELD, f"{path}.resources", holder.get("resources"))
    return fields.part(FIELD, f"{path}.resources.requests", resources.get("requests"))


def _cpu(fields: Fields, path: str, quantities: Mapping[str, object]) -> int | None:
    """Billionths of a CPU; None place none is named. No request is below 0."""
    found = quantities.get("cpu")
    if "cpu" not in quantities:
        return None
    if found is None:
        return 0
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        try:
            return max(0, parse_quantity(str(found).strip()))
        except ValueError:
            pass
    fields.refuse(FIELD, f"{path}.cpu", found, "a quantity")
    return UNREADABLE
