"""A world with feedback and its events, driven by hand."""

from pathlib import Path

from daemons.rubicante.cluster.pod_events import PodEvents
from daemons.rubicante.kernel.usage import KernelUsage
from daemons.rubicante.metrics import FeedbackMetrics
from daemons.rubicante.monitoring.feedback import Feedback
from daemons.rubicante.monitoring.overrun_counts import OverrunCounts
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.kernel import PROC
from tests.fakes.rubicante.world import PREFIX, World

DEBUG = Path("/debug")


class Watched:
    """A world with feedback on its tasks."""

    def __init__(self, counts: Path | None = None) -> None:
        self.world = World()
        metrics = FeedbackMetrics(self.world.registry)
        self.pod_events = PodEvents(
            node="edge-1",
            writer=self.world.server,
            metrics=metrics,
            clock=lambda: self.world.seconds,
        )
        self.feedback = Feedback(
            book=self.world.book,
            enforcement=self.world.enforcer,
            usage=usage_of(self.world),
            events=self.pod_events,
            counts=OverrunCounts(counts),
            metrics=metrics,
            tick=Nanoseconds(4 * NS_PER_MS),
            clock=lambda: self.world.seconds,
        )

    def run(self, tid: int, milliseconds: int, seconds: float = 1.0) -> None:
        self.world.seconds += seconds
        self.world.system.threads[tid].cpu_time += milliseconds * NS_PER_MS
        self.feedback.look()

    def events(self) -> list[tuple[str, str, str]]:
        """All that were written: pod, reason, text."""
        self.feedback.look()
        self.pod_events.send()
        return self.world.server.events


def usage_of(world: World, *, charges_stolen_time: bool = True) -> KernelUsage:
    return KernelUsage(
        system=world.system,
        proc=PROC,
        debug=DEBUG,
        prefix=PREFIX,
        charges_stolen_time=charges_stolen_time,
    )
