"""Overviews of a live cluster, with the caller's own rights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k40s.kube.gateway import KubeGateway
from k40s.kube.observation import ClusterSources, Gap, Observation, Scope, observe
from k40s.overview.build import build_overview
from k40s.overview.happenings import REPORTERS
from k40s.overview.model import Overview, ServerRow
from k40s.overview.pods import granted_servers
from k40s.overview.texts import ParsedTexts
from k40s.units import WallClock

_NAMESPACED = ("pods", "events")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An overview; ``notes`` are one line each on what it lacks.

    ``servers`` are those that pods were granted, by UID. ``pods_known``: it has all pods.
    ``stale``: changes do not arrive at present, so it may be old.
    """

    overview: Overview
    servers: Mapping[str, Sequence[tuple[str, ServerRow]]]
    notes: tuple[str, ...]
    pods_known: bool
    stale: bool = False


class ClusterLook:
    """Lists what the caller may list, in its own namespace where all are not allowed."""

    def __init__(
        self, gateway: KubeGateway, scope: Scope, *, wall: WallClock, own_namespace: str
    ) -> None:
        """``own_namespace`` is where pods are looked for if ``scope`` asks for too much."""
        self._gateway = gateway
        self._scope = replace(scope, reporters=REPORTERS)
        self._wall = wall
        self._own = own_namespace
        self._texts = ParsedTexts()
        self._narrowed: tuple[str, ...] = ()

    def begin(self) -> tuple[ClusterSources, Observation]:
        """List once. The sources are those that the caller may use, except for the gaps.

        Raises ``UnavailableError``.
        """
        sources = ClusterSources(self._gateway, self._scope)
        found = observe(sources)
        refused = [one.kind for one in found.gaps if one.forbidden and one.kind in _NAMESPACED]
        if self._scope.namespace or not refused:
            _require_any(found)
            return sources, found
        own = ClusterSources(self._gateway, replace(self._scope, namespace=self._own))
        sources.narrow(own, refused)
        again = observe(own, refused)
        if again.failure is not None:
            _require_any(found)
        self._narrowed = tuple(kind for kind in refused if kind not in again.missing)
        kept = tuple(one for one in found.gaps if one.kind not in self._narrowed)
        return sources, replace(
            found,
            pods=again.pods if "pods" in refused else found.pods,
            events=again.events if "events" in refused else found.events,
            gaps=kept,
        )

    def view(self, found: Observation) -> View:
        """The view of records at this instant."""
        now = self._wall()
        overview = build_overview(
            now=now,
            nodes=found.nodes,
            pods=found.pods,
            leases=found.leases,
            networks=found.networks,
            events=found.events,
            unreadable=found.unreadable,
            texts=self._texts,
        )
        return View(
            overview=overview,
            servers=granted_servers(found.pods, self._texts, now=now),
            notes=tuple(rights_notes(found.gaps, self._narrowed, self._own)),
            pods_known="pods" not in {*found.missing, *self._narrowed},
        )


def _require_any(found: Observation) -> None:
    if found.failure is not None:
        raise found.failure


def rights_notes(gaps: Sequence[Gap], narrowed: Sequence[str], own: str) -> list[str]:
    """What is missing: all that rights withhold in one line, and one for each other cause."""
    forbidden = [one.kind for one in gaps if one.forbidden]
    words = []
    if forbidden:
        words.append(f"no right to list {_and(forbidden)}")
    if narrowed:
        words.append(f"no right to list {_and(narrowed)} in all namespaces, only in {own}")
    line = ["; ".join(words)] if words else []
    return [*line, *(one.cause for one in gaps if not one.forbidden)]


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
