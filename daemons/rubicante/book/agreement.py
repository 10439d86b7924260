"""Compares a bound pod's annotations and allocation with its reservation in the book. Pure.

Admission policies keep the annotations of a bound pod unchanged. Where those policies are missing,
the granted reservation remains in force, and the difference is reported.
"""

from daemons.rubicante.book.entry import Entry
from k40s.annotations import ALLOCATION_KEY, TASKS_KEY, read_workload
from k40s.cpu.model import CpuNode, Reservation
from k40s.cpu.workload import Workload, resolve, serves
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.kube.records import PodRecord
from k40s.node_api.allocation import parse_allocation
from k40s.reasons import Reason


def was_never_admitted(record: PodRecord) -> bool:
    """Whether a pod declares real-time tasks and has no allocation."""
    return TASKS_KEY in record.annotations and ALLOCATION_KEY not in record.annotations


def read_held_workload(record: PodRecord) -> Workload:
    """The workload of a bound pod. Raises ``InvalidAnnotationError``."""
    return read_workload(
        labels=record.labels,
        annotations=record.annotations,
        containers=record.containers,
        sidecars=record.sidecars,
        init_containers=record.init_containers,
        held=True,
    )


def find_disagreement(record: PodRecord, entry: Entry, node: CpuNode) -> str:
    """How a pod's annotations differ from its reservation; "" where they agree."""
    try:
        workload = read_held_workload(record)
    except InvalidAnnotationError:
        return "its annotations are not valid any more"
    if workload != entry.request.workload:
        return "its annotations ask for something else"
    demand = resolve(
        workload, pod_uid=record.uid, platform=node.platform, factor=node.platform_factor
    )
    if isinstance(demand, Reason) or not serves(entry.reservations, demand):
        return "the node's platform gives its tasks other WCETs"
    if not serves(_allocated(record), demand):
        return f"its {ALLOCATION_KEY} says something else"
    return ""


def _allocated(record: PodRecord) -> tuple[Reservation, ...]:
    try:
        return parse_allocation(record.annotations.get(ALLOCATION_KEY, ""), pod_uid=record.uid)
    except InvalidInputError:
        return ()
