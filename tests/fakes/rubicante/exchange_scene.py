"""A core on which two pods run, and a third that fits only if one of them gets another server."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

from daemons.rubicante.book.exchanging import find_exchange_in_groups
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode
from k40s.cpu.workload import TaskContract
from k40s.kube.records import PodRecord
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU
from tests.fakes.rubicante.world import PREFIX, World, ask, container_id, node, pod, task, uid

TASKS = {1: (17, 300), 2: (15, 120), 3: (46, 300)}
"""Pod → WCET and period in ms. The order of arrival of the first two costs the third its room."""
CAPACITY = Fraction(2, 5)
ADMIT, EXCHANGE = cache(admit), cache(find_exchange_in_groups)
"""Both are pure, and tests ask them the same again and again."""
DRAIN = 1.3
"""More seconds than any wait of this core."""


def shared_node() -> CpuNode:
    return replace(node(capacity=CAPACITY), shared_groups=True)


def wanted(number: int) -> TaskContract:
    wcet, period = TASKS[number]
    return task(wcet_ms=wcet, period_ms=period)


class Exchanging:
    """``tids`` are the pods' threads."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World(base=shared_node(), admit=ADMIT, find_exchange=EXCHANGE)
        self.tids: dict[int, int] = {}

    def restart(self) -> None:
        self.world = self.world.restarted()
        self.world.pods.replace([self.record(number) for number in self.tids])

    def record(self, number: int) -> PodRecord:
        return pod(number, node=NODE, container_ids={"main": container_id(number)})

    def admit(self, number: int, contract: TaskContract | None = None) -> bool:
        """A pod asks, and is bound where it is admitted; its thread starts."""
        self.world.server.add(pod(number))
        answer, _ = self.world.reservations.reserve(ask(number, contract or wanted(number)))
        if answer.schedulable:
            self.world.pods.upsert(self.world.server.add(self.record(number)))
            cgroup = self.world.container(number, id_=number)
            shown = "/" + str(cgroup.relative_to(CPU))
            self.tids[number] = self.world.system.spawn(cgroup, "ctl", other_cgroup=shown)
        return bool(answer.schedulable)

    def settle(self, seconds: float = DRAIN) -> None:
        """Look until that time has passed."""
        end = self.world.seconds + seconds
        while self.world.seconds < end:
            self.world.look()
            self.world.seconds += 0.05

    def end(self, number: int) -> None:
        self.world.server.pods.pop(("default", f"pod-{number}"), None)
        self.world.pods.delete(uid(number))
        tid = self.tids.pop(number, None)
        if tid is not None:
            self.world.look()
            self.world.system.kill(tid)

    def group(self, number: int) -> int | None:
        """The number of the budget group that a pod's thread is in, as a real-time one."""
        thread = self.world.system.threads[self.tids[number]]
        name = thread.cgroup.name
        found = name.startswith(f"{PREFIX}-shared-") and thread.priority > 0
        return int(name.rpartition("-")[2]) if found else None

    def numbers(self) -> tuple[int, ...]:
        """The budget groups that the kernel has."""
        return self.world.groups.numbers()
