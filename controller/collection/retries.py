"""Has pods that wait tried again when something has changed that kube-scheduler does not see.

It retries refused pods because of Nodes and pods, never because of a Network, a Tenant or a
RuntimeClass. A pod's end, and whatever a station publishes, it sees by itself. This tells it the
rest, by an annotation of one Node: it wakes every refused pod, so it is written once for many
changes.
"""

import logging
from collections.abc import Hashable, Mapping
from typing import Protocol

from k40s.annotations import PLACEMENT_CHANGED_KEY
from k40s.errors import UnavailableError
from k40s.kube.transport import NotFoundError
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

SPACING = Nanoseconds(2 * NS_PER_S)
"""Between two writes."""

Declared = Mapping[str, Hashable]
"""By name, what of an object a pod's placement may depend on."""


class NodeAnnotator(Protocol):
    """Writes to Nodes; implemented by ``KubeGateway``."""

    def patch_node(self, name: str, *, annotations: Mapping[str, str | None]) -> object:
        """Set these annotations. Raises ``UnavailableError``, as ``NotFoundError`` for no node."""
        ...


class Retries:
    """``note_freed`` and ``look`` say what has changed; ``send`` writes, by the leader alone.

    One thread may send, another look at each kind, and any note.
    """

    def __init__(
        self, *, nodes: NodeAnnotator, backoff: Backoff, clock: Clock, wall: WallClock
    ) -> None:
        self._nodes = nodes
        self._backoff = backoff
        self._clock = clock
        self._wall = wall
        self._said: dict[str, Declared] = {}
        self._due = False
        self._sent_at: int | None = None

    def note_freed(self) -> None:
        """Something was given back without the end of a pod."""
        self._due = True

    def look(self, kind: str, declared: Declared, *, loss_helps: bool = False) -> None:
        """Compare the objects of a kind with what they were.

        ``loss_helps``: pods may wait for the end of such an object, as for that of a bound.
        A process that has just begun to look takes all for new: it knows of no look before it.
        """
        former = self._said.get(kind, {})
        if declared == former:
            return
        self._said[kind] = declared
        new = any(former.get(name) != said for name, said in declared.items())
        if new or (loss_helps and former.keys() - declared.keys()):
            self._due = True

    def send(self, nodes: frozenset[str]) -> None:
        """Write what is due to the first of these Nodes; what fails is tried again."""
        now = self._clock()
        early = self._sent_at is not None and now - self._sent_at < SPACING
        if not self._due or early or not nodes or self._backoff.active:
            return
        text = self._wall().replace(microsecond=0, tzinfo=None).isoformat() + "Z"
        self._sent_at = now
        self._due = False  # what is noted during the write needs another
        try:
            self._nodes.patch_node(min(nodes), annotations={PLACEMENT_CHANGED_KEY: text})
        except NotFoundError:
            self._due = True  # the watch shows soon that it is gone
            return
        except UnavailableError as error:
            self._due = True
            self._backoff.failed("change not announced to waiting pods", error)
            return
        self._backoff.succeeded()
        log.info("change announced to waiting pods", extra={"node": min(nodes)})
