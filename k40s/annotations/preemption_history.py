"""Preemptions that began lately, as the controller's leader writes them on its Lease.

An entry is written after the claim and before the first eviction. So a claim with its entry is to
be finished, and one without has evicted nobody; and limits hold although leaders die.
"""

from dataclasses import dataclass

from k40s.annotations.keys import PREEMPTIONS_KEY
from k40s.annotations.preemption import MAX_VICTIMS
from k40s.annotations.wall_times import format_time, read_name, read_time
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json
from k40s.units import NS_PER_S

MAX_PREEMPTIONS = 500
"""Of a history. Each has a victim, so a bound of so many victims an hour fits."""
KEPT = 3600 * NS_PER_S
"""Nanoseconds. No limit looks back further."""
_VERSION = 1
_LONGEST = 200 * 1024
"""Characters; Kubernetes allows 256 Ki for all annotations of an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPreemption:
    """The beginning of a preemption: whose, by UID and namespace, and how many victims it had.

    ``at`` (ns since 1970) is that of the claim.
    """

    at: int
    uid: str
    namespace: str
    victims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionHistory:
    """Preemptions that have begun, in the order of their time."""

    entries: tuple[PastPreemption, ...] = ()

    def plus(self, entry: PastPreemption) -> "PreemptionHistory":
        """With a new one, and without those that no limit looks at any more."""
        recent = [one for one in self.entries if abs(entry.at - one.at) < KEPT]
        return PreemptionHistory(entries=(*recent, entry)[-MAX_PREEMPTIONS:])

    def without(self, uid: str, at: int) -> "PreemptionHistory":
        """Without one that has evicted nobody."""
        kept = [one for one in self.entries if (one.uid, one.at) != (uid, at)]
        return PreemptionHistory(entries=tuple(kept))

    def without_later(self, latest: int) -> "PreemptionHistory":
        """Without those that only a wrong clock can have written."""
        return PreemptionHistory(entries=tuple(one for one in self.entries if one.at <= latest))

    def has(self, uid: str, at: int) -> bool:
        """Whether the evictions for this claim have begun."""
        return any((one.uid, one.at) == (uid, at) for one in self.entries)

    def last_of(self, uid: str) -> int | None:
        """When this pod's last preemption began."""
        return max((one.at for one in self.entries if one.uid == uid), default=None)

    def victims_since(self, start: int, namespace: str = "") -> int:
        """Victims of preemptions that began later, of pods of one namespace or all."""
        return sum(
            one.victims
            for one in self.entries
            if one.at > start and namespace in ("", one.namespace)
        )


def parse_preemptions(text: str) -> PreemptionHistory:
    """Read the annotation ``status.k40s.io/preemptions``. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=PREEMPTIONS_KEY, error=InvalidAnnotationError, at_most=_LONGEST)
    field = whole.fields(("v", "preemptions"))
    field["v"].integer(_VERSION, _VERSION)
    items = field["preemptions"].items(at_most=MAX_PREEMPTIONS)
    return PreemptionHistory(entries=tuple(map(_read, items)))


def format_preemptions(value: PreemptionHistory) -> str:
    """Write the annotation; ``parse_preemptions`` gives back the same value, in microseconds."""
    entries = [
        {
            "at": format_time(one.at),
            "pod": one.uid,
            "namespace": one.namespace,
            "victims": one.victims,
        }
        for one in value.entries
    ]
    return format_json({"v": _VERSION, "preemptions": entries})


def _read(item: Json) -> PastPreemption:
    field = item.fields(("at", "pod", "namespace", "victims"))
    return PastPreemption(
        at=read_time(field["at"]),
        uid=read_name(field["pod"]),
        namespace=read_name(field["namespace"]),
        victims=field["victims"].integer(0, MAX_VICTIMS),
    )
