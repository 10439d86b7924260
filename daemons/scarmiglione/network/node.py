"""The back ends of a node's interfaces, each as soon as the node has what it needs."""

from collections.abc import Callable, Sequence

from daemons.scarmiglione.network.back_end import (
    BackEndName,
    Channel,
    ChannelKind,
    Limits,
    Refusal,
    SlotBackEnd,
    StationState,
)
from daemons.scarmiglione.network.discovery import Host, open_back_end
from daemons.scarmiglione.network.preconditions import DEFAULT_SLOTS
from k40s.tdma.model import Cycle, Window
from k40s.units import Nanoseconds

Open = Callable[[], SlotBackEnd | Refusal]

_FIRST = max(DEFAULT_SLOTS) + 1
_NO_LIMITS = Limits(kind=ChannelKind.CHANNEL, first=_FIRST, last=_FIRST - 1, one_per_window=True)


class NodeBackEnds:
    """Makes back ends; ``name`` is the operator's choice, None RTnet's (``open_back_end``)."""

    def __init__(
        self, *, host: Host, name: BackEndName | None, wait: Callable[[float], object]
    ) -> None:
        self._host = host
        self._name = name
        self._wait = wait

    def __call__(self, *, interface: str, cycle: Cycle) -> SlotBackEnd:
        """A back end for an interface, which need not be there yet."""

        def open_() -> SlotBackEnd | Refusal:
            return open_back_end(
                self._name, interface=interface, cycle=cycle, host=self._host, wait=self._wait
            )

        return AwaitedBackEnd(
            open_, interface=interface, name=self._name or BackEndName.TDMACFG, host=self._host
        )


class AwaitedBackEnd:
    """Looks for what an interface needs at every ``read`` and ``apply`` until it is there.

    Until then it has no channels (``limits`` changes this once), holds nothing, and refuses.
    """

    def __init__(self, open_: Open, *, interface: str, name: BackEndName, host: Host) -> None:
        self._open = open_
        self._interface = interface
        self._name = name
        self._clocks = host.clocks
        self._found: SlotBackEnd | None = None

    @property
    def name(self) -> BackEndName:
        """The one that was found; before that, the one that is looked for."""
        return self._name if self._found is None else self._found.name

    @property
    def interface(self) -> str:
        """As the Network says."""
        return self._interface

    @property
    def limits(self) -> Limits:
        """None at all until something was found."""
        return _NO_LIMITS if self._found is None else self._found.limits

    def read(self) -> StationState:
        """The station, or that there is none, and why."""
        found = self._look()
        if not isinstance(found, Refusal):
            return found.read()
        return StationState(
            attached=False,
            read_at=Nanoseconds(self._clocks.monotonic()),
            wall_at=Nanoseconds(self._clocks.wall()),
            problems=(found.detail,),
        )

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        """Nothing is held by what is not there."""
        return self._found is not None and self._found.holds(state, channel, windows)

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        """As the protocol says."""
        found = self._look()
        return found if isinstance(found, Refusal) else found.apply(channel, windows)

    def remove(self, channel: Channel) -> Refusal | None:
        """As the protocol says; where nothing is, there are no slots."""
        found = self._look()
        return None if isinstance(found, Refusal) else found.remove(channel)

    def _look(self) -> SlotBackEnd | Refusal:
        if self._found is not None:
            return self._found
        found = self._open()
        if not isinstance(found, Refusal):
            self._found = found
        return found
