"""The pods whose eviction is asked for, as the Node's annotation shows them to the controller."""

from collections.abc import Collection

from k40s.annotations import Culprit, format_culprits
from k40s.annotations.wall_times import wall_nanoseconds
from k40s.assurance.response.acts import Act
from k40s.units import WallClock


class EvictionRequests:
    """``ask`` and ``keep`` are called by the response, ``text`` by the report's thread."""

    def __init__(self, *, now: WallClock) -> None:
        self._now = now
        self._asked: tuple[Culprit, ...] = ()

    @property
    def text(self) -> str | None:
        """The annotation; None where nothing is asked for."""
        asked = self._asked
        return format_culprits(asked) if asked else None

    def ask(self, act: Act, *, harmed: bool | None) -> None:
        """Ask for the eviction of the act's pod; what is asked for already stays as it is."""
        if any(one.uid == act.uid for one in self._asked):
            return
        culprit = Culprit(
            uid=act.uid,
            at=wall_nanoseconds(self._now()),
            rule=act.reason.cause,
            hazards=act.reason.metrics,
            harmed=harmed,
        )
        self._asked = (*self._asked, culprit)

    def keep(self, uids: Collection[str]) -> None:
        """Withdraw all but these: the hazard is over, or the pod is gone."""
        if any(one.uid not in uids for one in self._asked):
            self._asked = tuple(one for one in self._asked if one.uid in uids)
