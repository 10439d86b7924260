"""JSON of the API server -> records. The only place that knows the shapes of core/v1 objects.

Raises ``KeyError``, ``TypeError`` or ``ValueError`` for an object that is not of the kind asked
for; the gateway turns these into ``UnavailableError``.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any

from k40s.runtime.records import LeaseRecord, NodeRecord, PodRecord
from k40s.units import NS_PER_S, Nanoseconds

JsonObject = Mapping[str, Any]

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e([+-]?[0-9]+)|([numkMGTPE]?))", re.ASCII)
_SUFFIX = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
}


def node_record(item: JsonObject) -> NodeRecord:
    """Read a Node, or the PartialObjectMetadata of one."""
    meta = item["metadata"]
    return NodeRecord(
        name=meta["name"],
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        resource_version=meta.get("resourceVersion", ""),
    )


def pod_record(item: JsonObject) -> PodRecord:
    """Read a Pod; init containers are not among ``containers``, but count for the CPU request."""
    meta, spec = item["metadata"], item["spec"]
    status = item.get("status") or {}
    return PodRecord(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "",
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        containers=tuple(container["name"] for container in spec["containers"]),
        container_ids=_container_ids(status),
        deleting=bool(meta.get("deletionTimestamp")),
        cpu_request_millis=_cpu_request_millis(spec),
        scheduler=spec.get("schedulerName") or "",
    )


def lease_record(item: JsonObject) -> LeaseRecord:
    """Read a coordination.k8s.io/v1 Lease."""
    spec = item.get("spec") or {}
    renewed = spec.get("renewTime")
    return LeaseRecord(
        name=item["metadata"]["name"],
        holder=spec.get("holderIdentity") or "",
        renewed=None if renewed is None else datetime.fromisoformat(renewed),
        duration=Nanoseconds(int(spec.get("leaseDurationSeconds") or 0) * NS_PER_S),
    )


@lru_cache(maxsize=1024)
def parse_cpu_millis(quantity: str) -> int:
    """Read a CPU quantity (``"250m"``, ``"1.5"``) as thousandths, rounded up as kubelet does."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"not a quantity: {quantity!r}")
    number, exponent, suffix = match.groups()
    scale = Fraction(10) ** int(exponent) if exponent is not None else _SUFFIX[suffix or ""]
    return math.ceil(Fraction(number) * scale * 1000)


def _container_ids(status: JsonObject) -> dict[str, str]:
    """Name -> bare id, without the runtime's scheme (``containerd://``)."""
    return {
        state["name"]: state["containerID"].rpartition("/")[2]
        for state in status.get("containerStatuses") or ()
        if state.get("containerID")
    }


def _cpu_request_millis(spec: JsonObject) -> int:
    """The scheduler's view: the sum of the containers, or the largest init container if higher."""
    running = sum(_request(container) for container in spec["containers"])
    initial = 0
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            running += _request(container)
        else:
            initial = max(initial, _request(container))
    return max(running, initial)


def _request(container: JsonObject) -> int:
    resources = container.get("resources") or {}
    quantity = (resources.get("requests") or {}).get("cpu")
    return 0 if quantity is None else parse_cpu_millis(str(quantity))
