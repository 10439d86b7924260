"""Port: reports about pods' slots, for their owners."""

from typing import Protocol

from daemons.scarmiglione.slots.allocation import Rejection
from daemons.scarmiglione.slots.entry import Entry
from k40s.node_api.bodies import PodRef


class SlotReports(Protocol):
    """Implemented by ``cluster.events``. No method waits."""

    def applied(self, entry: Entry) -> None:
        """A pod's slots were set up."""

    def failed(self, pod: PodRef, rejection: Rejection) -> None:
        """A pod's slots were not set up."""

    def withdrawn(self, entry: Entry, cause: str) -> None:
        """A pod's slots are taken back although the pod may still run."""

    def unrepaired(self, entry: Entry, text: str) -> None:
        """A pod's slots are not in the kernel, or not whole."""
