"""The recorded events of a simulated core, for charts and counts; bounded in size."""

from dataclasses import dataclass, field
from typing import TypeVar

from k40s.simulation.recording import Recorder

MAX_MARKS = 200_000
"""Most events of a kind that a trace keeps; beyond it only counts."""

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Span:
    """A task had the core from ``start`` to ``end``."""

    server: str
    task: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mark:
    """An event of a server, or of one of its tasks."""

    server: str
    task: str
    at: int


@dataclass(slots=True)
class Trace(Recorder):
    """Spans are joined where a task simply ran on. Instants in the simulation's unit.

    ``pauses`` are the times in which a server was throttled; one that has not ended is in
    ``stopped``. From ``cut_at`` on, if it is an instant, something is missing.
    """

    spans: list[Span] = field(default_factory=list)
    releases: list[Mark] = field(default_factory=list)
    pauses: list[Span] = field(default_factory=list)
    replenishments: list[Mark] = field(default_factory=list)
    finishes: list[Mark] = field(default_factory=list)
    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)
    cut_at: int | None = None

    def released(self, server: str, task: str, at: int) -> None:
        """A job arrived."""
        self._keep(self.releases, Mark(server, task, at), at)

    def ran(self, server: str, task: str, start: int, end: int) -> None:
        """A task had the core."""
        last = self.spans[-1] if self.spans else None
        if last is not None and (last.server, last.task, last.end) == (server, task, start):
            self.spans[-1] = Span(server, task, last.start, end)
        else:
            self._keep(self.spans, Span(server, task, start, end), start)

    def finished(self, server: str, task: str, release: int, at: int) -> None:
        """A job is done."""
        del release
        self.jobs[server, task] = self.jobs.get((server, task), 0) + 1
        self._keep(self.finishes, Mark(server, task, at), at)

    def throttled(self, server: str, at: int) -> None:
        """A server was stopped."""
        self.stopped.setdefault(server, at)

    def replenished(self, server: str, at: int, *, throttled: bool) -> None:
        """A server was replenished."""
        self._keep(self.replenishments, Mark(server, "", at), at)
        if not throttled and server in self.stopped:
            start = self.stopped.pop(server)
            self._keep(self.pauses, Span(server, "", start, at), start)

    def _keep(self, kept: list[Kept], one: Kept, at: int) -> None:
        if len(kept) < MAX_MARKS:
            kept.append(one)
        elif self.cut_at is None or at < self.cut_at:
            self.cut_at = at
