"""What the last look at each station found: its state, and where it differs from the book."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemons.scarmiglione.network.back_end import StationState
from daemons.scarmiglione.slots.presence import Presence
from daemons.scarmiglione.station.stations import StationKey


@dataclass(slots=True, kw_only=True)
class Finding:
    """``error``: why there is no ``state``. ``foreign`` are channels of ours that others use.

    ``missing`` and ``altered`` are UIDs of pods whose slots had to be repaired, ``unrepaired``
    counts those that could not be.
    """

    state: StationState | None = None
    error: str = ""
    foreign: tuple[int, ...] = ()
    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unrepaired: int = 0

    @property
    def drifts(self) -> bool:
        """Whether book and kernel differ."""
        return bool(self.foreign or self.missing or self.altered or self.unrepaired)

    def note_drift(self, uid: str, presence: Presence) -> None:
        """A pod's slot was applied, and is not there as it should be."""
        if presence is Presence.ALTERED:
            self.altered.append(uid)
        elif presence is not Presence.WHOLE:
            self.missing.append(uid)

    def adopt(self, numbers: Iterable[int]) -> None:
        """These channels are a pod's after all."""
        self.foreign = tuple(sorted(set(self.foreign) - set(numbers)))


class Findings:
    """By station; replaced by each look."""

    def __init__(self) -> None:
        self._by_station: dict[StationKey, Finding] = {}

    def begin(self, stations: Iterable[StationKey]) -> None:
        """A new look at these stations."""
        self._by_station = {key: Finding() for key in stations}

    def of(self, station: StationKey) -> Finding:
        """What was found; an empty finding for a station that was not looked at."""
        return self._by_station.get(station) or Finding()
