"""An overview as far as a reader's rights go. Pure."""

from dataclasses import replace

from insight.access.rights import Rights
from k40s.overview.model import Happening, Overview
from k40s.overview.redaction import visible


def cut(overview: Overview, rights: Rights) -> Overview:
    """What the reader may see: pods by namespace, nodes and networks as a whole."""
    seen = overview if rights.namespaces is None else visible(overview, rights.covers)
    if not rights.networks:
        seen = replace(seen, networks=())
    if not rights.nodes:
        shown = tuple(one for one in seen.happenings if _is_of_pod(one))
        seen = replace(seen, nodes=(), happenings=shown, unreadable=())
    return seen


def namespaces_of(overview: Overview) -> frozenset[str]:
    """The namespaces that pods and happenings of it are in."""
    names = {one.namespace for one in overview.pods}
    names |= {one.namespace for one in overview.happenings if one.namespace}
    return frozenset(names)


def _is_of_pod(happening: Happening) -> bool:
    return bool(happening.namespace and happening.pod)
