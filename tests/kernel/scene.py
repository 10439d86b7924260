"""Short words for what kernel tests do and see."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.mechanisms.back_end import GroupName
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups, Group
from k40s.node_api.messages import format_reservation_request
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import ask, container_id, pod, says, task, uid
from tests.kernel.conftest import Node, eventually
from tests.kernel.hog import OTHER


def reserve(node: Node, number: int = 1, *, name: str = "ctl", wcet_ms: int = 5) -> Fraction:
    """A pod is reserved over HTTP and bound; the bandwidth that its server has."""
    node.server.add(pod(number))
    wanted = task(name, wcet_ms=wcet_ms)
    body = format_reservation_request(ask(number, wanted))
    client = node.daemon.api().test_client()
    answer = client.put(f"/v1/reservations/{uid(number)}", data=body)
    assert answer.status_code == 201, answer.text
    held = entry_of(node, number).reservations
    annotations = says(number, wanted, held=held)
    node.pods.deliver(pod(number, node=NODE, phase="Running", annotations=annotations))
    eventually(lambda: entry_of(node, number).phase is Phase.BOUND)
    return entry_of(node, number).reservations[0].server.bandwidth


def entry_of(node: Node, number: int = 1) -> Entry:
    """What the book has of a pod."""
    entry = node.daemon.book.find(uid(number))
    assert entry is not None
    return entry


def report_status(node: Node, number: int = 1) -> None:
    """Kubelet has reported that the container runs."""
    ids = {"main": container_id(number)}
    record = node.daemon.pods.record(uid(number))
    assert record is not None
    node.pods.deliver(replace(record, container_ids=ids))


def make_container(kubepods: Path, number: int = 1, *, id_: int = 0) -> Path:
    """A container's cgroup, in both hierarchies; ``id_`` is the pod's number where not given."""
    inner = Path("kubepods", "burstable", f"pod{uid(number)}", container_id(id_ or number))
    for path in (kubepods / inner, OTHER / kubepods.name / inner):
        path.mkdir(parents=True)
    return kubepods / inner


def group_of(node: Node, number: int = 1, index: int = 0) -> Group:
    """The budget group of a pod's reservation."""
    shared = entry_of(node, number).reservations[index].group
    return GroupName(pod_uid=uid(number), index=index) if shared is None else shared


def is_enforced(groups: BudgetGroups, tid: int) -> bool:
    """Whether a thread is real-time in a budget group of ours."""
    everywhere: list[Group] = [*groups.names(), *groups.numbers()]
    inside = any(tid in groups.members(group) for group in everywhere)
    return inside and os.sched_getscheduler(tid) == FIFO


def policy(tid: int) -> int:
    return os.sched_getscheduler(tid)


def is_home(container: Path, tid: int) -> bool:
    return str(tid) in (container / "tasks").read_text().split()
