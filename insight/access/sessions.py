"""Sessions of browsers: a random id stands for a token, which is nowhere but in memory."""

import hashlib
import secrets
import threading
from collections import Counter
from dataclasses import dataclass, replace

from insight.access.reviews import User
from k40s.units import Clock, Nanoseconds

MOST_SESSIONS = 256
MOST_PER_USER = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A token and its user. ``reviewed`` is when the API server last accepted the token."""

    key: bytes
    token: str
    user: User
    begun: int
    reviewed: int

    def __repr__(self) -> str:
        return f"Session(user={self.user.name!r})"


class Sessions:
    """All sessions. Thread-safe; ids are kept as hashes only."""

    def __init__(self, *, lifetime: Nanoseconds, clock: Clock) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, token: str, user: User, *, reviewed: int) -> str:
        """Keep the token, last accepted at ``reviewed``, under a new id, which is returned.

        The user's oldest session ends where there are too many of theirs, and the oldest of the
        user with the most where there are too many of all.
        """
        identity = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._expire(now)
            own = [key for key, one in self._sessions.items() if one.user.account == user.account]
            if len(own) >= MOST_PER_USER:
                del self._sessions[own[0]]
            elif len(self._sessions) >= MOST_SESSIONS:
                del self._sessions[self._of_most()]
            key = _hash(identity)
            self._sessions[key] = Session(
                key=key, token=token, user=user, begun=now, reviewed=reviewed
            )
        return identity

    def find(self, identity: str) -> Session | None:
        """The session of this id, None where there is none (any more)."""
        return self.get(_hash(identity))

    def get(self, key: bytes) -> Session | None:
        """The session with this key."""
        with self._lock:
            found = self._sessions.get(key)
            if found is None or self._clock() - found.begun >= self._lifetime:
                return None
            return found

    def end(self, key: bytes) -> None:
        """Forget it and its token."""
        with self._lock:
            self._sessions.pop(key, None)

    def accepted(self, key: bytes, user: User, *, reviewed: int) -> None:
        """The API server has accepted the token again."""
        with self._lock:
            found = self._sessions.get(key)
            if found is not None:
                self._sessions[key] = replace(found, user=user, reviewed=reviewed)

    def due(self, age: Nanoseconds) -> list[Session]:
        """Sessions whose last review is as old; expired ones are removed."""
        now = self._clock()
        with self._lock:
            self._expire(now)
            return [one for one in self._sessions.values() if now - one.reviewed >= age]

    def _expire(self, now: int) -> None:
        for key in [k for k, one in self._sessions.items() if now - one.begun >= self._lifetime]:
            del self._sessions[key]

    def _of_most(self) -> bytes:
        counts = Counter(one.user.account for one in self._sessions.values())
        ((account, _),) = counts.most_common(1)
        return next(key for key, one in self._sessions.items() if one.user.account == account)


def _hash(identity: str) -> bytes:
    return hashlib.sha256(identity.encode(errors="replace")).digest()
