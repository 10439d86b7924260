"""Answers that are kept for a short time, and never more than a number of them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from k40s.units import Clock, Nanoseconds

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """A bounded table whose entries expire; the one used longest ago goes first. Thread-safe."""

    def __init__(self, *, lifetime: Nanoseconds, capacity: int, clock: Clock) -> None:
        self._lifetime = lifetime
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[K, tuple[int, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: K) -> tuple[V] | None:
        """The answer, in a tuple of one; None where there is none that still holds."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            until, value = found
            if until <= self._clock():
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return (value,)

    def put(self, key: K, value: V) -> None:
        """Keep this answer from here on."""
        with self._lock:
            self._entries[key] = (self._clock() + self._lifetime, value)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget it."""
        with self._lock:
            self._entries.pop(key, None)

    def get_or(self, key: K, ask: Callable[[], V]) -> V:
        """The answer that is kept, else the one of ``ask``, which raises what it raises."""
        found = self.find(key)
        if found is not None:
            return found[0]
        value = ask()
        self.put(key, value)
        return value
