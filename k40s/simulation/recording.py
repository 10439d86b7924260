"""Events of a simulation, for callers that need more than misses and response times."""


class Recorder:
    """Receives the events of one core in order of time; this base class ignores them.

    Servers and tasks by name, instants in the unit of the simulation.
    """

    def released(self, server: str, task: str, at: int) -> None:
        """A job arrived."""

    def ran(self, server: str, task: str, start: int, end: int) -> None:
        """A task had the core from ``start`` to ``end``; several such spans may follow at once."""

    def finished(self, server: str, task: str, release: int, at: int) -> None:
        """The job that arrived at ``release`` is done."""

    def throttled(self, server: str, at: int) -> None:
        """A server may not run until a replenishment ends that."""

    def replenished(self, server: str, at: int, *, throttled: bool) -> None:
        """A replenishment; ``throttled`` is True if debt still keeps the server from running."""
