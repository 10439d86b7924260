"""An explanation without the pods that its reader may not see. Pure."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from k40s.explanation.model import Explanation, NodeExplanation, Obstacle, PodStory
from k40s.overview.model import Overview
from k40s.overview.redaction import UID, visible

Covers = Callable[[str], bool]
"""Whether the reader may see the pods of a namespace."""

_NOTHING = Overview(at="", nodes=(), pods=(), networks=(), happenings=(), unreadable=())
_HIDDEN = "a pod that you may not see"
_POD = re.compile(r"\bpod ([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def namespaces_of(explanation: Explanation) -> frozenset[str]:
    """The namespaces that obstacles are in."""
    return frozenset(
        one.namespace for node in explanation.nodes for one in node.obstacles if one.namespace
    )


def redact(explanation: Explanation, covers: Covers) -> Explanation:
    """Obstacles of other namespaces lose their names, here and in every text beside them.

    A text may name further pods: the fault of a Network or an annotation says what was found.
    """
    hidden = [
        one
        for node in explanation.nodes
        for one in node.obstacles
        if _names_anybody(one) and not _may_be_named(one, covers)
    ]
    uids = {one.pod_uid for node in explanation.nodes for one in node.obstacles} - {
        one.pod_uid for one in hidden
    }
    hide_named, hide_others = _hiding(hidden), _hiding_others(covers, uids)

    def hide(text: str) -> str:
        return hide_others(hide_named(text))

    if not hidden and all(hide(text) == text for text in _texts(explanation)):
        return explanation
    nodes = tuple(_redact_node(node, covers, hide) for node in explanation.nodes)
    return replace(explanation, nodes=nodes)


def redact_story(story: PodStory, covers: Covers, *, nodes: bool) -> PodStory:
    """Without happenings that name pods of other namespaces, and without its node's, by rights."""
    told = replace(_NOTHING, happenings=story.happenings)
    shown = visible(told, covers).happenings
    return replace(story, happenings=tuple(one for one in shown if nodes or one.pod))


def _redact_node(
    node: NodeExplanation, covers: Covers, hide: Callable[[str], str]
) -> NodeExplanation:
    return replace(
        node,
        text=hide(node.text),
        detail=hide(node.detail),
        figures=tuple(replace(one, what=hide(one.what)) for one in node.figures),
        obstacles=tuple(_redact_obstacle(one, covers, hide) for one in node.obstacles),
        remedies=tuple(map(hide, node.remedies)),
    )


def _redact_obstacle(obstacle: Obstacle, covers: Covers, hide: Callable[[str], str]) -> Obstacle:
    what = hide(obstacle.what)
    if _may_be_named(obstacle, covers):
        return replace(obstacle, what=what)
    return replace(obstacle, namespace="", pod="", pod_uid="", what=what)


def _texts(explanation: Explanation) -> Iterator[str]:
    for node in explanation.nodes:
        yield from (node.text, node.detail, *node.remedies)
        yield from (one.what for one in node.figures)
        yield from (one.what for one in node.obstacles)


def _names_anybody(obstacle: Obstacle) -> bool:
    return bool(obstacle.namespace or obstacle.pod or obstacle.pod_uid)


def _may_be_named(obstacle: Obstacle, covers: Covers) -> bool:
    """A pod of no known namespace only where all namespaces may be seen, which is "" to reviews."""
    return covers(obstacle.namespace)


def _hiding(hidden: Sequence[Obstacle]) -> Callable[[str], str]:
    """Replaces names of these pods, with or without their namespace, and their UIDs."""
    words = {f"{one.namespace}/{one.pod}" for one in hidden if one.pod}
    words |= {word for one in hidden for word in (one.pod, one.pod_uid) if word}
    if not words:
        return lambda text: text
    pattern = re.compile(rf"(?<![\w.-])(?:{_any_of(words)})(?![\w-])")
    return lambda text: pattern.sub(_HIDDEN, text)


def _hiding_others(covers: Covers, uids: Collection[str]) -> Callable[[str], str]:
    """Replaces ``pod namespace/name`` of other namespaces, and UIDs beside ``uids``."""

    def named(found: re.Match[str]) -> str:
        return found[0] if covers(found[1]) else _HIDDEN

    def identified(found: re.Match[str]) -> str:
        known = found[0].replace("_", "-") in uids
        return found[0] if known or covers("") else _HIDDEN

    return lambda text: UID.sub(identified, _POD.sub(named, text))


def _any_of(words: Iterable[str]) -> str:
    """The longest first, so that no name hides a part of another."""
    return "|".join(re.escape(one) for one in sorted(words, key=len, reverse=True))
