"""Events to the owners of objects: once an hour each, few a minute, one across replicas."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable

from k40s.errors import K40sError, UnavailableError
from k40s.kube.events import EventWriter, RateLimit, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.kube.transport import ConflictError, RefusedError
from k40s.units import NS_PER_S, Clock, Nanoseconds

_log = logging.getLogger(__name__)

COMPONENT = "k40s-extender"
_GRACE = 5 * NS_PER_S
"""How far the watches of different objects may lag apart, and how soon a mistake may be mended."""
_REPEAT = Nanoseconds(3600 * NS_PER_S)
"""The API server forgets an event after about that time."""
_PER_MINUTE = 30


class OwnerEvents:
    """Events of one reason, from one thread, which calls ``follow`` first in each look."""

    def __init__(self, *, events: EventWriter, reason: str, suffix: str, clock: Clock) -> None:
        """``suffix`` distinguishes this reason in the names of events."""
        self._events = events
        self._reason = reason
        self._suffix = suffix
        self._clock = clock
        self._since: dict[str, int] = {}
        self._repeats: RepeatLimit[str] = RepeatLimit(_REPEAT, clock=clock)
        self._rate = RateLimit(_PER_MINUTE, clock=clock)
        self._failures: Counter[str] = Counter()

    def follow(self, uids: Collection[str]) -> None:
        """Replaces the concerned objects."""
        now = self._clock()
        self._since = {uid: self._since.get(uid, now) for uid in uids}
        self._repeats.keep_only(self._since)

    def _is_due(self, uid: str) -> bool:
        """Whether an event should be written now."""
        return self._clock() - self._since[uid] >= _GRACE and self._repeats.allows(uid)

    def report_due(self, concerned: Iterable[ObjectRef], text: Callable[[ObjectRef], str]) -> None:
        """Write the events that are due, first in namespaces with the fewest recent or failed ones.

        So neither many objects of a namespace nor one that refuses events delay the others.
        """
        waiting: dict[str, deque[ObjectRef]] = {}
        for about in concerned:
            if self._is_due(about.uid):
                waiting.setdefault(about.namespace, deque()).append(about)
        self._failures = Counter({name: self._failures[name] for name in waiting})
        while waiting:
            shares = self._rate.shares() + self._failures
            namespace = min(waiting, key=lambda name: shares[name])
            about = waiting[namespace].popleft()
            if not waiting[namespace]:
                del waiting[namespace]
            if not self._report(about, text(about)):
                return

    def _report(self, about: ObjectRef, text: str) -> bool:
        """Write the event; returns whether more may be written in this look."""
        if not self._rate.allows():
            return False
        facts = {"kind": about.kind, "namespace": about.namespace, "object": about.name}
        try:
            self._events.create_event(
                about,
                reason=self._reason,
                message=text,
                component=COMPONENT,
                warning=True,
                once=f"{about.uid}.{self._suffix}",
            )
        except ConflictError:
            pass  # the other replica has written it
        except RefusedError as error:
            _log.warning("event refused", extra=facts | {"cause": str(error)})
        except UnavailableError as error:
            _log.warning("event not written", extra=facts | {"cause": str(error)})
            self._failures[about.namespace] += 1
            return False
        except K40sError as error:  # its namespace is gone
            _log.info("event dropped", extra=facts | {"cause": str(error)})
        else:
            _log.warning("event written", extra=facts | {"uid": about.uid, "reason": self._reason})
        self._failures.pop(about.namespace, None)
        self._repeats.count(about.uid)
        self._rate.count(about.namespace)
        return True
