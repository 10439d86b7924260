"""From a token to a user, and from a user to rights: reviews whose answers are kept for seconds."""

import hashlib
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from insight.access.attempts import Attempts
from insight.access.kept import Kept
from insight.access.reviews import Action, Reviews, User
from insight.access.rights import Rights, find_rights
from k40s.errors import K40sError
from k40s.units import NS_PER_S, Clock, Nanoseconds

KEEP = Nanoseconds(30 * NS_PER_S)
KEEP_REJECTED = Nanoseconds(5 * NS_PER_S)
_FAMILIAR = Nanoseconds(3600 * NS_PER_S)
"""A token that was accepted within this time is reviewed again whatever others attempt."""
_MOST_TOKENS = 1024
_MOST_ANSWERS = 65_536
"""Above 64 readers with the most namespaces that are asked about, lest one evicts another's."""
LONGEST_TOKEN = 16_384
"""Characters; longer ones are not looked at."""


class TooManyAttemptsError(K40sError):
    """Too many tokens that are not known: try again in a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A token's user, and when the API server last accepted the token."""

    user: User
    at: int


class Gate:
    """Asks the API server, at most once in 30 s for each token and for each action of a user.

    Tokens are kept as a keyed hash only. Methods raise ``UnavailableError``.
    """

    def __init__(self, reviews: Reviews, *, clock: Clock, count: Callable[[str], None]) -> None:
        """``count`` is told how each review ended: ``accepted``, ``rejected`` or ``limited``."""
        self._reviews = reviews
        self._count = count
        self._key = secrets.token_bytes(32)
        self._attempts = Attempts(clock=clock)
        self._clock = clock
        self._users: Kept[bytes, Accepted] = Kept(lifetime=KEEP, capacity=_MOST_TOKENS, clock=clock)
        self._rejected: Kept[bytes, None] = Kept(
            lifetime=KEEP_REJECTED, capacity=_MOST_TOKENS, clock=clock
        )
        self._familiar: Kept[bytes, None] = Kept(
            lifetime=_FAMILIAR, capacity=_MOST_TOKENS, clock=clock
        )
        self._answers: Kept[tuple[User, Action], bool] = Kept(
            lifetime=KEEP, capacity=_MOST_ANSWERS, clock=clock
        )

    def find_user(self, token: str, *, source: str) -> Accepted | None:
        """The token's user, None for a bad token. Raises ``TooManyAttemptsError``.

        ``source`` is the address that the token comes from.
        """
        if not token or len(token) > LONGEST_TOKEN:
            return None
        key = self._hash(token)
        known = self._users.find(key)
        if known is not None:
            return known[0]
        if self._rejected.find(key) is not None:
            return None
        if self._familiar.find(key) is None and not self._attempts.begin(source):
            self._count("limited")
            raise TooManyAttemptsError("too many unknown tokens, try again in a minute")
        found = self.review(token)
        if found is None:
            self._attempts.failed(source)
        return found

    def review(self, token: str) -> Accepted | None:
        """Ask the API server, past all kept answers."""
        key = self._hash(token)
        asked = self._clock()
        user = self._reviews.authenticate(token)
        if user is None:
            self._users.drop(key)
            self._familiar.drop(key)
            self._rejected.put(key, None)
            self._count("rejected")
            return None
        accepted = Accepted(user=user, at=asked)
        self._users.put(key, accepted)
        self._familiar.put(key, None)
        self._count("accepted")
        return accepted

    def allows(self, user: User, action: Action) -> bool:
        """Whether the user may."""
        return self._answers.get_or((user, action), partial(self._reviews.allows, user, action))

    def find_rights(self, user: User, namespaces: Collection[str]) -> Rights:
        """What the user may see of an overview with pods of these namespaces."""
        return find_rights(partial(self.allows, user), namespaces)

    def _hash(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(errors="replace"), key=self._key).digest()
