"""What a simulation tells while it runs, for whoever wants more than misses and response times."""


class Recorder:
    """Is told what happens on one core, in order of time; this one listens to nothing.

    Servers and tasks by name, instants in the unit of the simulation.
    """

    def released(self, server: str, task: str, at: int) -> None:
        """A job arrived."""

    def ran(self, server: str, task: str, start: int, end: int) -> None:
        """A task had the core from ``start`` to ``end``; several such spans may follow at once."""

    def finished(self, server: str, task: str, release: int, at: int) -> None:
        """The job that arrived at ``release`` is done."""

    def throttled(self, server: str, at: int) -> None:
        """A server may not run until a replenishment lets it."""

    def refilled(self, server: str, at: int, *, throttled: bool) -> None:
        """A replenishment came; ``throttled`` tells whether debt keeps the server from running."""
