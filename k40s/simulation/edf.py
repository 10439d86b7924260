"""An exact simulation of SCHED_DEADLINE as Linux has it, in integer time.

Independent of the analyses. Ready threads run by earliest deadline first on one CPU or on
several, each thread in a constant bandwidth server (Abeni & Buttazzo, RTSS 1998) as the kernel
implements it:

- waking with a deadline that is past, or with more budget left than its bandwidth allows until
  then, a thread gets a new deadline and a full budget; one with a deadline shorter than its period
  gets less budget instead;
- a thread that has used up its budget waits for its next period, and then gets as many budgets,
  and as many periods of later deadline, as its debt needs; what is left may run at once.

With ``tick`` 0 budgets are enforced exactly, otherwise at the ticks of the CPU that the thread runs
on, and when it is descheduled. Below the threads may lie a ``CoreSimulation`` for each CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.simulation.core import ENDLESS, CoreSimulation, Miss, SimTask


@dataclass(slots=True, kw_only=True)
class SimThread:
    """A thread with a reservation (Q, D, P) and the jobs of one task.

    ``judged`` is False for a thread that breaks its contract.
    """

    name: str
    budget: int
    deadline: int
    period: int
    task: SimTask
    judged: bool = True
    left: int = 0
    due: int = -ENDLESS
    throttled: bool = False
    cpu: int | None = None

    @property
    def ready(self) -> bool:
        """Whether it has a job and is not throttled."""
        return bool(self.task.jobs) and not self.throttled

    @property
    def next_period(self) -> int:
        """When a used-up budget is replenished."""
        return self.due - self.deadline + self.period

    def wake(self, now: int) -> None:
        """Set budget and deadline as the first job arrives (CBS wake-up rule)."""
        if self.throttled:
            return
        if self.deadline < self.period and self.due < now < self.next_period:
            self.left = min(self.left, 0)
            self.throttled = True
            return
        overflows = (self.due - now) * self.budget < self.left * self.deadline
        if self.due >= now and overflows and self.deadline < self.period:
            self.left = self.budget * (self.due - now) // self.deadline
        elif self.due < now or overflows:
            self.left, self.due = self.budget, now + self.deadline

    def charge(self, now: int) -> None:
        """Throttle it if its budget is used up."""
        if self.left <= 0 and not self.throttled:
            self.throttled = True
            self.replenish(now)

    def replenish(self, now: int) -> None:
        """Add budgets and postpone the deadline once the next period has begun."""
        if not self.throttled or self.next_period > now:
            return
        while self.left <= 0:
            self.left += self.budget
            self.due += self.period
        if self.due < now:
            self.left, self.due = self.budget, now + self.deadline
        self.throttled = False


class DeadlineSimulation:
    """Threads of SCHED_DEADLINE in one root domain; they may come and go between calls of ``run``.

    ``tick_phases`` has one entry for each CPU; ``below`` has the simulation of lower
    scheduling classes there, or is empty.
    """

    def __init__(
        self,
        *,
        tick: int = 0,
        tick_phases: Sequence[int] = (0,),
        below: Sequence[CoreSimulation] = (),
    ) -> None:
        self.tick = tick
        self.tick_phases = tuple(tick_phases)
        self.below = tuple(below)
        self.now = 0
        self.threads: dict[str, SimThread] = {}
        self.misses: list[Miss] = []
        self.finished = 0
        self.longest: dict[str, int] = {}
        self.consumed: list[tuple[str, int, int]] = []

    def add(self, thread: SimThread) -> None:
        """Add a thread from the present instant on."""
        self.threads[thread.name] = thread

    def remove(self, name: str) -> None:
        """Remove a thread and its jobs."""
        thread = self.threads.pop(name)
        self._end_job(thread)
        self._count_overdue(thread)

    def run(self, until: int) -> None:
        """Advance to an instant, with the simulations below."""
        while True:
            self._process_events()
            following = min(self._next_event(), until)
            for thread in self.threads.values():
                if thread.cpu is not None and following > self.now:
                    thread.left -= following - self.now
                    thread.task.jobs[0][1] -= following - self.now
                    self.consumed.append((thread.name, self.now, following))
            for core in self.below:
                core.advance(following)
            self.now = following
            if following >= until:
                return

    def finish(self) -> None:
        """Count jobs that are overdue at the end as misses."""
        for thread in self.threads.values():
            self._end_job(thread)
            self._count_overdue(thread)
        for core in self.below:
            core.finish()

    def _process_events(self) -> None:
        now = self.now
        for thread in self.threads.values():
            if thread.cpu is not None:
                done = self._end_job(thread) and not thread.task.jobs
                at_tick = self.tick and (now - self.tick_phases[thread.cpu]) % self.tick == 0
                if done or at_tick or not self.tick:
                    thread.charge(now)
                if done:
                    thread.cpu = None
            thread.replenish(now)
            self._release(thread)
        self._switch()
        taken = {thread.cpu for thread in self.threads.values()}
        for cpu, core in enumerate(self.below):
            core.occupied = cpu in taken
            core.process_events()

    def _release(self, thread: SimThread) -> None:
        task = thread.task
        while task.release <= self.now:
            if not task.jobs:
                thread.wake(self.now)
                thread.replenish(self.now)
            task.jobs.append([task.release, task.wcet])
            task.release += task.period + task.gaps[task.released % len(task.gaps)]
            task.released += 1

    def _switch(self) -> None:
        """Run the earliest deadlines; displaced threads are checked against their budgets."""
        while True:
            ready = [thread for thread in self.threads.values() if thread.ready]
            ready.sort(key=lambda thread: (thread.due, thread.cpu is None))
            chosen = ready[: len(self.tick_phases)]
            displaced = [
                thread
                for thread in self.threads.values()
                if thread.cpu is not None and not any(thread is other for other in chosen)
            ]
            if not displaced:
                break
            for thread in displaced:
                thread.cpu = None
                thread.charge(self.now)
        free = set(range(len(self.tick_phases))) - {thread.cpu for thread in chosen}
        for thread in chosen:
            if thread.cpu is None:
                thread.cpu = free.pop()

    def _next_event(self) -> int:
        events = [core.next_event() for core in self.below]
        for thread in self.threads.values():
            events.append(thread.task.release)
            if thread.throttled:
                events.append(max(thread.next_period, self.now + 1))
            if thread.cpu is not None:
                events.append(self.now + thread.task.jobs[0][1])
                events.append(self._check_of(thread, thread.cpu))
        return min(events, default=ENDLESS)

    def _check_of(self, thread: SimThread, cpu: int) -> int:
        """When a thread that keeps running is throttled."""
        exhausted = max(self.now + thread.left, self.now + 1)
        if not self.tick:
            return exhausted
        return exhausted + (self.tick_phases[cpu] - exhausted) % self.tick

    def _end_job(self, thread: SimThread) -> bool:
        """Whether the first job of a running thread has finished; counts it."""
        jobs = thread.task.jobs
        if not jobs or jobs[0][1] > 0:
            return False
        release, _ = jobs.popleft()
        self.finished += 1
        response = self.now - release
        self.longest[thread.name] = max(self.longest.get(thread.name, 0), response)
        if thread.judged and response > thread.task.deadline:
            self.misses.append(Miss(thread.name, thread.task.name, release))
        return True

    def _count_overdue(self, thread: SimThread) -> None:
        for release, _remaining in thread.task.jobs:
            if thread.judged and self.now > release + thread.task.deadline:
                self.misses.append(Miss(thread.name, thread.task.name, release))
