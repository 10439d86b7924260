"""An exact simulation of deferrable servers on one core, in integer time.

Independent of the analyses. Between events time advances in one step, so results equal those
of a unit-step simulation. Two modes of enforcement:

- ``tick == 0``: ideal. A server stops at the instant its budget is used up, and is replenished
  to the full budget at its phase plus multiples of its period.
- ``tick > 0``: as Linux throttles real-time groups. What a group used is compared with its budget,
  strictly, at the ticks of the core while it runs, and when one of its tasks is descheduled; what
  it overran is debt, because a replenishment subtracts one budget from what was used; a throttled
  group runs again only when less than its budget remains used. The timer of a group that is idle
  without debt stops, and starts again with its next job. ``only_at_ticks`` omits the comparison at
  descheduling, which Linux makes, to show what depends on it. With ``late_charges`` a replenishment
  covers only what is charged by then, as on Linux: a running thread is charged
  at ticks and when it is descheduled.

The highest priority among the ready tasks of servers that may run is served.
"""

from k40s.simulation.parts import ENDLESS, Miss, SimServer, SimTask
from k40s.simulation.recording import Recorder

__all__ = ["ENDLESS", "CoreSimulation", "Miss", "SimServer", "SimTask"]


class CoreSimulation:
    """One core. Servers may come, grow and go between calls of ``run``."""

    def __init__(
        self,
        *,
        tick: int = 0,
        tick_phase: int = 0,
        replenish_before_tick: bool = False,
        only_at_ticks: bool = False,
        late_charges: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self.tick = tick
        self.tick_phase = tick_phase
        self.replenish_before_tick = replenish_before_tick
        self.only_at_ticks = only_at_ticks
        self.late_charges = late_charges
        self.now = 0
        self.occupied = False
        """Whether something more urgent than all servers occupies the core."""
        self.servers: dict[str, SimServer] = {}
        self.misses: list[Miss] = []
        self.finished = 0
        self.longest: dict[tuple[str, str], int] = {}
        self.consumed: list[tuple[str, int, int]] = []
        self._recorder = recorder or Recorder()
        self._running: tuple[SimServer, SimTask] | None = None
        self._since = 0

    def add(self, server: SimServer) -> None:
        """Add a server from the present instant on."""
        self.servers[server.name] = server

    def remove(self, name: str) -> None:
        """Remove a server and its jobs."""
        self._end_job()
        self._running = None
        self._count_overdue(self.servers.pop(name))

    def grow(self, name: str, budget: int) -> None:
        """Raise a budget; a throttled server stays throttled until its next replenishment."""
        self.servers[name].budget = budget

    def move(self, task: SimTask, source: str, target: str, priority: float) -> None:
        """Move a task with its jobs to another server, as one moves a thread between groups.

        Where it runs, it is descheduled, so that its old server is charged and checked.
        """
        self._end_job()
        old, new = self.servers[source], self.servers[target]
        if self._running is not None and self._running[1] is task:
            if self.tick and not self.only_at_ticks and old.used > old.budget:
                self._stop(old)
            self._running = None
        old.tasks.remove(task)
        task.priority = priority
        new.tasks.append(task)
        if task.jobs and not new.timer_runs:
            new.timer_runs = True
            new.next_replenishment = self.now + new.period

    def rename(self, name: str, other: str) -> None:
        """Give a server another name; its responses count for that."""
        server = self.servers.pop(name)
        server.name = other
        self.servers[other] = server
        for key in [key for key in self.longest if key[0] == name]:
            final = (other, key[1])
            self.longest[final] = max(self.longest.pop(key), self.longest.get(final, 0))

    def run(self, until: int) -> None:
        """Advance to an instant."""
        while True:
            self.process_events()
            self.advance(min(self.next_event(), until))
            if self.now >= until:
                return

    def process_events(self) -> None:
        """Process all events of the present instant, and choose the task that runs."""
        self._end_job()
        self._enforce()
        self._release()
        self._switch()

    def advance(self, following: int) -> None:
        """Run the chosen task until an instant, with no event before it."""
        if self._running is not None:
            server, task = self._running
            elapsed = following - self.now
            task.jobs[0][1] -= elapsed
            server.used += elapsed
            if elapsed:
                self.consumed.append((server.name, self.now, following))
                self._recorder.ran(server.name, task.name, self.now, following)
        self.now = following

    def finish(self) -> None:
        """Count jobs that are overdue at the end as misses."""
        self._end_job()
        for server in self.servers.values():
            self._count_overdue(server)

    def _count_overdue(self, server: SimServer) -> None:
        for task in server.tasks:
            for release, _remaining in task.jobs:
                if server.judged and self.now > release + task.deadline:
                    self.misses.append(Miss(server.name, task.name, release))

    def _end_job(self) -> None:
        if self._running is None:
            return
        server, task = self._running
        if task.jobs and task.jobs[0][1] == 0:
            release, _ = task.jobs.popleft()
            response = self.now - release
            self.finished += 1
            self._recorder.finished(server.name, task.name, release, self.now)
            key = (server.name, task.name)
            self.longest[key] = max(self.longest.get(key, 0), response)
            if server.judged and response > task.deadline:
                self.misses.append(Miss(server.name, task.name, release))

    def _enforce(self) -> None:
        if self.replenish_before_tick:
            self._replenish()
            self._throttle()
        else:
            self._throttle()
            self._replenish()

    def _throttle(self) -> None:
        if self._running is None:
            return
        server, _ = self._running
        if self.tick:
            at_tick = (self.now - self.tick_phase) % self.tick == 0
            if at_tick and server.used > server.budget:
                self._stop(server)
        elif server.used >= server.budget:
            self._stop(server)

    def _stop(self, server: SimServer) -> None:
        server.throttled = True
        self._recorder.throttled(server.name, self.now)

    def _replenish(self) -> None:
        for server in self.servers.values():
            if not server.timer_runs or server.next_replenishment > self.now:
                continue
            at = server.next_replenishment
            server.next_replenishment += server.period
            if not self.tick:
                server.used = 0
                server.throttled = False
                self._recorder.replenished(server.name, at, throttled=False)
                continue
            uncharged = self._uncharged(server)
            server.used -= min(server.used - uncharged, server.budget)
            if server.used - uncharged < server.budget:
                server.throttled = False
            self._recorder.replenished(server.name, at, throttled=server.throttled)
            if server.used == 0 and not server.ready:
                server.timer_runs = False

    def _uncharged(self, server: SimServer) -> int:
        """Time that a server has run since it was last charged."""
        if not self.late_charges or self._running is None or self._running[0] is not server:
            return 0
        last_tick = self.now - (self.now - self.tick_phase) % self.tick
        if self.replenish_before_tick and last_tick == self.now:
            last_tick -= self.tick
        return self.now - max(self._since, last_tick)

    def _release(self) -> None:
        for server in self.servers.values():
            for task in server.tasks:
                while task.release <= self.now:
                    if not server.timer_runs:
                        server.timer_runs = True
                        server.next_replenishment = self.now + server.period
                    task.jobs.append([task.release, task.wcet])
                    self._recorder.released(server.name, task.name, task.release)
                    gap = task.gaps[task.released % len(task.gaps)]
                    task.released += 1
                    task.release += task.period + gap

    def _switch(self) -> None:
        """Choose the task that runs; a displaced server is checked against its budget."""
        chosen = self._pick()
        if self._running is not None and self._running[1] is not (chosen and chosen[1]):
            displaced, _ = self._running
            if self.tick and not self.only_at_ticks and displaced.used > displaced.budget:
                self._stop(displaced)
                chosen = self._pick()
        if chosen is not None and (self._running is None or self._running[1] is not chosen[1]):
            self._since = self.now
        self._running = chosen

    def _pick(self) -> tuple[SimServer, SimTask] | None:
        best: tuple[SimServer, SimTask] | None = None
        for server in self.servers.values():
            if server.throttled or self.occupied:
                continue
            for task in server.tasks:
                if task.jobs and (best is None or task.priority > best[1].priority):
                    best = (server, task)
        return best

    def next_event(self) -> int:
        """The instant of the next event."""
        events = [task.release for server in self.servers.values() for task in server.tasks]
        events += [
            server.next_replenishment for server in self.servers.values() if server.timer_runs
        ]
        if self._running is not None:
            server, task = self._running
            events.append(self.now + task.jobs[0][1])
            events.append(self._stop_of(server))
        return min(events, default=ENDLESS)

    def _stop_of(self, server: SimServer) -> int:
        """When a server that keeps running is throttled, without a replenishment."""
        exhausted = self.now + max(0, server.budget - server.used)
        if not self.tick:
            return exhausted
        return exhausted + self.tick - (exhausted - self.tick_phase) % self.tick
