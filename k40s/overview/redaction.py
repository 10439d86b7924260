"""The part of an overview that a reader may see: nothing of other namespaces. Pure.

A namespace is hidden unless ``may_see`` says otherwise, and so is whatever names nobody that may be
seen. Of a hidden pod only numbers remain: what its servers take of a core, its slot in a cycle.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain

from k40s.overview.cores import nameless
from k40s.overview.model import (
    CoreRow,
    Happening,
    NetworkRow,
    NodeRow,
    Overview,
    PodRow,
)

MaySee = Callable[[str], bool]
"""Whether the reader may see the pods of a namespace."""

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_FULL_NAME = re.compile(r"(?<![A-Za-z0-9./-])([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/(?=[a-z0-9])")
"""The namespace of ``namespace/name``; a path begins with a slash, a host has dots."""
UID = re.compile(r"[0-9a-fA-F]{8}(?:[-_][0-9a-fA-F]{4}){3}[-_][0-9a-fA-F]{12}")
"""As the API has it, and as the systemd driver names cgroups by it."""
_JOINT = re.compile(r"[._]")
"""Between the names of a host, a cgroup, a path in an object."""

_AFTER_POD = re.compile(r"\bpod ([A-Za-z0-9][A-Za-z0-9._-]*+)(?!/)")
"""What follows the word pod: a bare name, or the sentence goes on."""
_GOES_ON = frozenset(
    (
        *("is", "was", "that", "leads", "here", "of", "on", "in", "and", "or", "has", "had"),
        *("may", "needs", "asks", "runs", "moves", "would", "could", "which", "to", "for", "with"),
    )
)


def visible(overview: Overview, may_see: MaySee) -> Overview:
    """The overview without what the reader may not see. ``may_see`` is asked once a namespace.

    Pods, suspects and happenings of hidden namespaces vanish; their servers on a core are joined
    into one without a name, and their slots lose their names. A text that names a hidden pod or
    namespace, or anything ``namespace/name`` or ``pod name`` that is not visible, is blanked; a
    happening or an ``unreadable`` with such a text vanishes. A bare name that stands nowhere else
    in the overview, and not after the word pod, cannot be told from other words.
    """
    seen = _Seen(overview, may_see)
    return replace(
        overview,
        nodes=tuple(_node(one, seen) for one in overview.nodes),
        pods=tuple(_pod(one, seen) for one in overview.pods if seen.namespace(one.namespace)),
        networks=tuple(_network(one, seen) for one in overview.networks),
        happenings=tuple(one for one in overview.happenings if _may_be_told(one, seen)),
        unreadable=tuple(one for one in overview.unreadable if seen.text(one)),
    )


class _Seen:
    """What of one overview may be seen."""

    def __init__(self, overview: Overview, may_see: MaySee) -> None:
        self._may_see = may_see
        self._answers: dict[str, bool] = {}
        hidden: set[str] = set()
        shown: set[str] = set()
        for namespace, words in _named(overview):
            (shown if self.namespace(namespace) else hidden).update(words)
        self._shown = shown
        self._uids = {word for word in shown if UID.fullmatch(word)}
        self._hidden = (hidden - shown) | {
            name for name, may in self._answers.items() if name and not may
        }

    def namespace(self, name: str) -> bool:
        """Whether pods of the namespace may be seen; those of none, "", may not."""
        if name not in self._answers:
            self._answers[name] = bool(name) and self._may_see(name)
        return self._answers[name]

    def text(self, text: str) -> bool:
        """Whether a text names only what may be seen."""
        words = _WORD.findall(text)
        parts = chain.from_iterable(map(_JOINT.split, words))
        if not self._hidden.isdisjoint(chain(words, parts)):
            return False
        if not all(map(self.namespace, _FULL_NAME.findall(text))):
            return False
        if not all(self._is_told(word.rstrip(".-_")) for word in _AFTER_POD.findall(text)):
            return False
        return all(uid.replace("_", "-") in self._uids for uid in UID.findall(text))

    def _is_told(self, word: str) -> bool:
        """Whether what follows the word pod names nobody, or somebody who may be seen."""
        return word in _GOES_ON or word in self._shown

    def told(self, text: str) -> str:
        """The text, or "" for one that may not be seen."""
        return text if self.text(text) else ""


def _named(overview: Overview) -> Iterable[tuple[str, Sequence[str]]]:
    """Each namespace with names and UIDs of a pod of it."""
    for pod in overview.pods:
        yield pod.namespace, (pod.name, pod.uid)
    for row in overview.nodes:
        for suspect in row.suspects:
            yield suspect.namespace, (suspect.pod,)
        for server in chain.from_iterable(core.servers for core in row.cores):
            yield server.namespace, (server.pod, server.pod_uid)
    for network in overview.networks:
        for slot in network.slots:
            yield slot.namespace, (slot.pod, slot.pod_uid)
    for happening in overview.happenings:
        if happening.namespace:
            yield happening.namespace, (happening.pod,)


def _node(row: NodeRow, seen: _Seen) -> NodeRow:
    suspects = [
        replace(one, evidence=seen.told(one.evidence))
        for one in row.suspects
        if seen.namespace(one.namespace)
    ]
    return replace(
        row, suspects=tuple(suspects), cores=tuple(_core(one, seen) for one in row.cores)
    )


def _core(row: CoreRow, seen: _Seen) -> CoreRow:
    shown = [one for one in row.servers if seen.namespace(one.namespace)]
    if len(shown) == len(row.servers):
        return row
    hidden = sum(one.share for one in row.servers if not seen.namespace(one.namespace))
    return replace(row, servers=(*shown, nameless(hidden)))


def _pod(row: PodRow, seen: _Seen) -> PodRow:
    return replace(row, why=seen.told(row.why), enforced_why=seen.told(row.enforced_why))


def _network(row: NetworkRow, seen: _Seen) -> NetworkRow:
    slots = (
        one if seen.namespace(one.namespace) else replace(one, pod_uid="", namespace="", pod="")
        for one in row.slots
    )
    return replace(row, slots=tuple(slots))


def _may_be_told(one: Happening, seen: _Seen) -> bool:
    if (one.namespace or one.pod) and not seen.namespace(one.namespace):
        return False
    return seen.text(one.text)
