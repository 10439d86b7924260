"""Networks of the API server -> records, and the bodies of what k40s writes of their status."""

from collections.abc import Callable, Sequence

from k40s.kube.objects.fields import Fields, JsonObject, names
from k40s.kube.records import Fault, NetworkRecord
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.objects import parse_network
from k40s.network.reservations import format_reservations
from k40s.network.usage import windows_of

NETWORKS = "/apis/k40s.io/v1alpha1/networks"


def network_record(
    item: JsonObject, *, parse: Callable[[JsonObject], NetworkState] = parse_network
) -> NetworkRecord:
    """Read a Network. Its fault is a fault of the record too; raises ``NamelessError``."""
    (name,) = names(item, "name")
    fields = Fields()
    meta = fields.part("uid", "metadata", item.get("metadata"))
    state = parse(item)
    faults = fields.faults
    if state.fault is not None:
        faults = (*faults, Fault(field="state", text=state.fault))
    return NetworkRecord(
        name=name,
        uid=fields.text("uid", "metadata.uid", meta.get("uid")),
        state=state,
        faults=faults,
    )


def reservations_patch(reservations: Sequence[NetworkReservation], *, version: str) -> JsonObject:
    """A merge patch of the status that is refused unless the Network is at this version."""
    if not version:
        raise ValueError("a write of reservations without a version would undo those of others")
    return {
        "metadata": {"resourceVersion": version},
        "status": {
            "reservations": format_reservations(reservations),
            "slots": len(windows_of(reservations)),
        },
    }
