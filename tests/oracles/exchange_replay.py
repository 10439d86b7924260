"""Replays exchanges of servers on simulated cores: both groups for real, threads moved by chance.

While a reservation has two groups, both servers exist. Its tasks move one after the other, in any
order, at any instant at which they sleep: often just before their next job, or with a job that was
released up to the slack before. A container with a hog has one in each group; whoever ignores its
contract does so in both. Other pods may depart meanwhile.

Mutations, each of which has to be seen to miss: ``waits`` = False leaves out the wait before
threads move, ``asleep`` = False moves threads in the middle of their jobs, ``trusting`` carries out
steps that the full test refuses.
"""

from dataclasses import replace
from random import Random

from k40s.cpu.admission.exchange import (
    Exchange,
    Step,
    arrived,
    completed,
    drain_time,
    move_slack,
    overlapping,
    without_pod,
)
from k40s.cpu.linux import quantize_server
from k40s.cpu.model import CpuNode, Reservation
from k40s.simulation.core import SimServer, SimTask
from k40s.units import NS_PER_US
from tests.oracles.bounds import contained, name_of, promised
from tests.oracles.replay import NEVER_DUE, Replay

SECOND = "+"
"""Marks the container name of a second group."""


class ExchangeReplay(Replay):
    """The cores of one node. ``bounds`` are the longest that the analysis gave so far."""

    def __init__(
        self,
        node: CpuNode,
        chance: Random,
        *,
        tick: int | None = None,
        waits: bool = True,
        asleep: bool = True,
        departures: float = 0.1,
        trusting: bool = False,
    ) -> None:
        super().__init__(node, chance, tick=tick)
        self._waits = waits
        self._asleep = asleep
        self._departures = departures
        self._trusting = trusting
        self.bounds: dict[tuple[str, str], int] = {}
        self.moved = 0
        self.moved_late = 0

    def note_bounds(self, node: CpuNode) -> None:
        """From here on responses may be as long as the analysis says for this node as well."""
        for (name, task), bound in promised(node).items():
            key = (name.replace(SECOND + "/", "/"), task)
            self.bounds[key] = max(bound, self.bounds.get(key, 0))

    def exchange(self, node: CpuNode, plan: Exchange) -> CpuNode:
        """Carry out a plan; returns the node afterwards."""
        left: Exchange | None = plan
        while left is not None and left.steps:
            node = self.carry_out(node, left.steps[0])
            rest = replace(left, steps=left.steps[1:]) if left.steps[1:] else None
            if rest is None:
                break
            node, left = self._depart(node, rest, without=None)
        if left is None:
            return node
        self._pause(node, plan.core)
        after = arrived(node, plan)
        assert after is not None
        self.note_bounds(after)
        self.follow(after)
        return after

    def _depart(
        self, node: CpuNode, plan: Exchange | None, *, without: str | None
    ) -> tuple[CpuNode, Exchange | None]:
        """Sometimes another pod departs; what is left of the plan."""
        others = sorted({r.pod_uid for r in node.reservations} - {without})
        if not others or self._chance.random() > self._departures:
            return node, plan
        uid = self._chance.choice(others)
        return self._without(node, uid), None if plan is None else without_pod(plan, uid, done=0)

    def _without(self, node: CpuNode, uid: str) -> CpuNode:
        after = node.without(uid)
        for core in self.cores.values():
            for name in [name for name in core.servers if name.startswith(f"{uid}/")]:
                core.remove(name)
        for domain in self.domains:
            for name in [name for name in domain.threads if name.startswith(f"{uid}/")]:
                self._quiet_until = max(self._quiet_until, domain.threads[name].next_period)
                domain.remove(name)
        return after

    def _pause(self, node: CpuNode, core: int) -> None:
        if self._waits:
            self.run(drain_time(node, core) // NS_PER_US)

    def carry_out(self, node: CpuNode, step: Step) -> CpuNode:
        """One step; returns the node afterwards."""
        both = overlapping(node, step)
        if both is None and self._trusting:
            both = node.holding((*node.reservations, step.after))
        assert both is not None
        if both == node:
            return node
        shadow_after = _second(step.after)
        shadow = both.holding(
            tuple(shadow_after if r is step.after else r for r in both.reservations)
        )
        if not self._trusting:
            self.note_bounds(shadow)
        self._begin(shadow, shadow_after, name_of(step.before))
        if self._departures:
            both, _ = self._depart(both, None, without=step.before.pod_uid)
        self._pause(both, step.after.core)
        self._move_all(step, name_of(step.before), name_of(shadow_after))
        core = self.cores[step.after.core]
        core.remove(name_of(step.before))
        core.rename(name_of(shadow_after), name_of(step.before))
        node = completed(both, step)
        self.note_bounds(node)
        self.follow(node)
        return node

    def _begin(self, shadow: CpuNode, after: Reservation, old: str) -> None:
        """Bands move, and the second group exists, without a task."""
        held = {name_of(r): r for r in shadow.reservations}
        self._drop(held)
        self.contained = contained(shadow)
        self._calm_down()
        core = self.cores[after.core]
        budget, period = quantize_server(after.server)
        server = SimServer(
            name=name_of(after),
            budget=budget,
            period=period,
            next_replenishment=self._now + 1 + self._chance.randrange(period),
            tasks=[],
            judged=core.servers[old].judged,
        )
        hog = self._second_hog(core.servers[old], after, self._now)
        server.tasks += [hog] if hog is not None else []
        core.add(server)

    def _second_hog(self, old: SimServer, after: Reservation, now: int) -> SimTask | None:
        """A container with a hog has one here as well, from the beginning or later."""
        hogs = [task for task in old.tasks if task.deadline == NEVER_DUE]
        if not hogs or (old.judged and name_of(after) in self.contained):
            return None
        above = hogs[0].priority > max(
            (t.priority for t in old.tasks if t.deadline != NEVER_DUE), default=0.0
        )
        found = replace(hogs[0], jobs=type(hogs[0].jobs)())
        found.priority = max(after.priorities) + 0.5 if above else min(after.priorities) - 0.5
        found.release = now + self._chance.choice((0, self._chance.randrange(2 * old.period)))
        return found

    def _move_all(self, step: Step, old: str, new: str) -> None:
        core = self.cores[step.after.core]
        mine = {task.name: task for task in core.servers[old].tasks if task.deadline != NEVER_DUE}
        judged = core.servers[old].judged
        order = list(zip(step.after.tasks, step.after.priorities, strict=True))
        self._chance.shuffle(order)
        for held, priority in order:
            task = mine[held.name]
            slack = move_slack(held) // NS_PER_US
            self._await(task, slack, asleep=judged and self._asleep)
            self.moved += 1
            self.moved_late += _has_work(task)
            if task.jobs:
                key = (old, task.name)
                self.bounds[key] = self.bounds.get(key, 0) + slack
            wide = self._ties
            core.move(task, old, new, priority + self._chance.uniform(-wide, wide))
            if self._chance.random() < 0.5:
                self.run(self._chance.randrange(1, 2 * task.period))
        places = {held.name: place for place, held in enumerate(step.after.tasks)}
        core.servers[new].tasks.sort(key=lambda task: places.get(task.name, len(places)))

    def _await(self, task: SimTask, slack: int, *, asleep: bool) -> None:
        """Let time pass until a thread may be moved, at an instant of any kind."""
        chance = self._chance
        if not asleep:
            self._run_to(max(self._now, task.release) + chance.randrange(1, max(2, task.wcet)))
            return
        kind = chance.choice(("soon", "just before", "late"))
        for _ in range(200):
            if kind == "late":
                self._run_to(max(self._now, task.release) + chance.randrange(1, max(2, slack)))
                if task.jobs and len(task.jobs) == 1:
                    return
            elif kind == "just before":
                self._run_to(max(self._now + 1, task.release - 1))
            else:
                self.run(chance.randrange(1, max(2, task.period // 8)))
            if not _has_work(task):
                return
            kind = chance.choice(("soon", "just before"))
        raise AssertionError(f"{task.name} never sleeps")


def _has_work(task: SimTask) -> bool:
    return any(remaining > 0 for _release, remaining in task.jobs)


def _second(after: Reservation) -> Reservation:
    return replace(after, container=after.container + SECOND)
