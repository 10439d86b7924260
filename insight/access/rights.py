"""What a user may see, as a value that readers with equal rights share. Pure but for the asking."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from insight.access.reviews import Action

Allows = Callable[[Action], bool]
"""Whether the user may. Raises ``UnavailableError``."""

LIST_PODS = Action(verb="list", resource="pods")
LIST_NODES = Action(verb="list", resource="nodes")
LIST_NETWORKS = Action(verb="list", resource="networks", group="k40s.io")
MOST_NAMESPACES = 512
"""Namespaces that are asked about for one user; what is in others, the user is not shown."""


def get_pods(namespace: str) -> Action:
    """What everything about one pod needs."""
    return Action(verb="get", resource="pods", namespace=namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """``namespaces`` are those whose pods may be seen; None: all of them."""

    namespaces: frozenset[str] | None
    nodes: bool
    networks: bool

    def covers(self, namespace: str) -> bool:
        """Whether pods of this namespace may be seen."""
        return self.namespaces is None or namespace in self.namespaces


def find_rights(allows: Allows, namespaces: Collection[str]) -> Rights:
    """Ask for all that an overview shows; ``namespaces`` are those that it has pods of."""
    every = allows(LIST_PODS)
    asked = sorted(namespaces)[:MOST_NAMESPACES]
    return Rights(
        namespaces=None if every else frozenset(one for one in asked if allows(get_pods(one))),
        nodes=allows(LIST_NODES),
        networks=allows(LIST_NETWORKS),
    )
