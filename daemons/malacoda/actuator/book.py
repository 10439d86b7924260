"""The book of holds on disk: what has to be undone, and the times of the last hour's acts."""

import logging
from collections.abc import Collection
from typing import Protocol

from daemons.malacoda.actuator.holds import PodHold, format_hold, parse_hold
from k40s.errors import InvalidInputError
from k40s.strict_json import format_json, read_json

log = logging.getLogger(__name__)

ACTS, KILLS = "acts", "kills"
"""Keys of the times of acts, and of those among them that killed a pod."""
_MOST_ACTS = 10_000
_LATEST = 10**18


class TextStore(Protocol):
    """A durable map from key to text; implemented by ``k40s.runtime.store.Store``.

    Methods raise ``UnavailableError``.
    """

    def entries(self) -> dict[str, str]:
        """All keys and their texts."""

    def put(self, key: str, text: str) -> None:
        """Insert or replace one: on disk on return."""

    def delete(self, key: str) -> None:
        """Remove one; an absent key is no error."""


class HoldBook:
    """One entry a held pod, by UID. ``boot`` tells one boot of the machine from another.

    A monotonic clock begins anew with each boot, and so do cgroups.
    """

    def __init__(self, store: TextStore, *, boot: str) -> None:
        self._store = store
        self._boot = boot

    def holds(self) -> tuple[PodHold, ...]:
        """Every hold. An entry that cannot be read is logged, and left where it is."""
        found = []
        for uid, text in self._store.entries().items():
            if uid in (ACTS, KILLS):
                continue
            try:
                found.append(parse_hold(text, source=f"hold of {uid}"))
            except InvalidInputError as error:
                log.error("hold unreadable", extra={"pod": uid, "reason": str(error)})  # noqa: TRY400  # the text says it all
        return tuple(found)

    def put(self, hold: PodHold) -> None:
        """Write a hold, or remove one that has no step.

        Raises ``InvalidInputError`` for one that the next process could not read, and so not undo.
        """
        if hold.steps:
            text = format_hold(hold)
            parse_hold(text, source=f"hold of {hold.uid}")
            self._store.put(hold.uid, text)
        else:
            self._store.delete(hold.uid)

    def acts(self, key: str = ACTS) -> tuple[int, ...]:
        """The times of acts, of this boot alone, by the monotonic clock."""
        text = self._store.entries().get(key)
        if text is None:
            return ()
        try:
            whole = read_json(text, source=key, error=InvalidInputError)
            fields = whole.fields(("boot", "acts"))
            times = fields["acts"].items(at_most=_MOST_ACTS)
            return tuple(
                act.integer(0, _LATEST) for act in times if fields["boot"].value == self._boot
            )
        except InvalidInputError as error:
            log.error("acts unreadable", extra={"reason": str(error)})  # noqa: TRY400  # as above
            return ()

    def put_acts(self, acts: Collection[int], key: str = ACTS) -> None:
        """Write the times of acts."""
        self._store.put(key, format_json({"boot": self._boot, "acts": list(acts)}))
