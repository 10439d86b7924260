"""What a simulated core did, kept for a chart and for counting; bounded in size."""

from dataclasses import dataclass, field
from typing import TypeVar

from k40s.simulation.recording import Recorder

MAX_MARKS = 200_000
"""Beyond so many of a kind a trace only counts."""

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
    """Something happened to a server, or to a task of it, at an instant."""

    server: str
    task: str
    at: int


@dataclass(slots=True)
class Trace(Recorder):
    """Spans are joined where a task simply ran on. Instants in the simulation's unit.

    ``pauses`` are the times in which a server was throttled; one that has not ended is in
    ``stopped``.
    """

    spans: list[Span] = field(default_factory=list)
    releases: list[Mark] = field(default_factory=list)
    pauses: list[Span] = field(default_factory=list)
    refills: list[Mark] = field(default_factory=list)
    finishes: list[Mark] = field(default_factory=list)
    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)

    def released(self, server: str, task: str, at: int) -> None:
        """A job arrived."""
        _keep(self.releases, Mark(server, task, at))

    def ran(self, server: str, task: str, start: int, end: int) -> None:
        """A task had the core."""
        last = self.spans[-1] if self.spans else None
        if last is not None and (last.server, last.task, last.end) == (server, task, start):
            self.spans[-1] = Span(server, task, last.start, end)
        elif len(self.spans) < MAX_MARKS:
            self.spans.append(Span(server, task, start, end))

    def finished(self, server: str, task: str, release: int, at: int) -> None:
        """A job is done."""
        del release
        self.jobs[server, task] = self.jobs.get((server, task), 0) + 1
        _keep(self.finishes, Mark(server, task, at))

    def throttled(self, server: str, at: int) -> None:
        """A server was stopped."""
        self.stopped.setdefault(server, at)

    def refilled(self, server: str, at: int, *, throttled: bool) -> None:
        """A server was replenished."""
        _keep(self.refills, Mark(server, "", at))
        if not throttled and server in self.stopped:
            _keep(self.pauses, Span(server, "", self.stopped.pop(server), at))


def _keep(kept: list[Kept], one: Kept) -> None:
    if len(kept) < MAX_MARKS:
        kept.append(one)
