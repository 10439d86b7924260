"""What tables show, as values: for ``-o json`` and ``-o yaml``."""

import json
from dataclasses import asdict
from typing import Any

from k40s.overview.model import NodeRow, Overview
from workbench.cluster_tables.node_page import on_node
from workbench.cluster_tables.pods import PlacedServers

Document = dict[str, Any]


def nodes_document(overview: Overview) -> Document:
    """All nodes as an overview has them."""
    nodes = [asdict(one) for one in overview.nodes]
    return {"at": overview.at, "nodes": nodes, "unreadable": list(overview.unreadable)}


def pods_document(overview: Overview, servers: PlacedServers) -> Document:
    """All pods as an overview has them, each with its servers."""
    pods = [
        {
            **asdict(one),
            "servers": [
                {"core": core, **asdict(server)} for core, server in servers.get(one.uid, ())
            ],
        }
        for one in overview.pods
    ]
    return {"at": overview.at, "pods": pods, "unreadable": list(overview.unreadable)}


def node_document(overview: Overview, row: NodeRow) -> Document:
    """One node with its pods, and what happened there."""
    here = on_node(overview, row.name)
    return {
        "at": overview.at,
        "node": asdict(row),
        "pods": [asdict(one) for one in here.pods],
        "happenings": [asdict(one) for one in here.happenings],
        "unreadable": list(overview.unreadable),
    }


def written(document: Document, form: str) -> str:
    """The text, in the form ``json`` or ``yaml``."""
    text = json.dumps(document, indent=2)
    if form == "json":
        return text
    # slow to import, and few ask for it
    import yaml  # noqa: PLC0415

    dumped: str = yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True)
    return dumped.rstrip("\n")
