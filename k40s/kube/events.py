"""Events on API objects: the port that writes them, and limits on how many are written."""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Hashable
from typing import Generic, Protocol, TypeVar

from k40s.kube.records import ObjectRef
from k40s.units import NS_PER_S, Clock, Nanoseconds

MINUTE = Nanoseconds(60 * NS_PER_S)
K = TypeVar("K", bound=Hashable)


class EventWriter(Protocol):
    """Writes events; implemented by ``KubeGateway``."""

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        """Write it. Raises ``UnavailableError``, or another ``K40sError`` that is about the object.

        ``once`` names what is reported: while such an event exists, a repeat by any replica raises
        ``ConflictError``.
        """
        ...


class RateLimit:
    """At most ``limit`` events in any minute; each is counted under a label."""

    def __init__(self, limit: int, *, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._sent: deque[tuple[int, str]] = deque(maxlen=limit)

    def allows(self) -> bool:
        """Whether one more may be written now."""
        return len(self._sent) < self._limit or self._clock() - self._sent[0][0] >= MINUTE

    def count(self, label: str = "") -> None:
        """One was written."""
        self._sent.append((self._clock(), label))

    def shares(self) -> Counter[str]:
        """The last ``limit`` events by label."""
        return Counter(label for _, label in self._sent)


class RepeatLimit(Generic[K]):
    """At most one event of a key within ``interval``; counts those that are held back.

    Of more than ``capacity`` keys, the ones reported longest ago are forgotten.
    """

    def __init__(self, interval: Nanoseconds, *, clock: Clock, capacity: int | None = None) -> None:
        self._interval = interval
        self._clock = clock
        self._capacity = capacity
        self._reported: OrderedDict[K, int] = OrderedDict()
        self._held_back: Counter[K] = Counter()

    def allows(self, key: K) -> bool:
        """Whether an event of this key may be written now."""
        at = self._reported.get(key)
        return at is None or self._clock() - at >= self._interval

    def hold_back(self, key: K) -> None:
        """One was not written; it is counted with the next one that is."""
        self._held_back[key] += 1

    def held_back(self, key: K) -> tuple[int, int]:
        """The number held back since the last event of the key, and the age of that event."""
        return self._held_back[key], self._clock() - self._reported.get(key, self._clock())

    def count(self, key: K) -> None:
        """One was written, or queued to be."""
        self._reported[key] = self._clock()
        self._reported.move_to_end(key)
        self._held_back.pop(key, None)
        while self._capacity is not None and len(self._reported) > self._capacity:
            forgotten, _ = self._reported.popitem(last=False)
            self._held_back.pop(forgotten, None)

    def keep_only(self, keys: Collection[K]) -> None:
        """Forget all other keys."""
        for key in self._reported.keys() - set(keys):
            del self._reported[key]
            self._held_back.pop(key, None)
