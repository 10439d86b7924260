"""Where a pod could go: in-tree filters first, then the extender, as kube-scheduler does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.extender_client import Filter
from controller.metrics import ControllerMetrics
from k40s.assurance.migration.placement import NodeOffer, find_misfit
from k40s.errors import UnavailableError
from k40s.kube.objects.fields import JsonObject
from k40s.kube.objects.scheduling import pod_constraints
from k40s.units import NS_PER_S, Nanoseconds

OFFERS_LAST = Nanoseconds(5 * NS_PER_S)
"""For so long a list of all Nodes is used; kube-scheduler decides by their present state."""
_SHOWN_NODES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Nodes that would take a pod, and why the others would not."""

    fit: tuple[str, ...]
    refused: Mapping[str, str]

    def describe(self) -> str:
        """The refusals in one line."""
        shown = sorted(self.refused.items())[:_SHOWN_NODES]
        more = len(self.refused) - len(shown)
        parts = [f"{name}: {text}" for name, text in shown]
        return "; ".join([*parts, f"{more} more"] if more else parts) or "there is no other node"


class NodeSource(Protocol):
    """Lists the Nodes."""

    def nodes(self) -> list[NodeOffer]:
        """What every Node offers to pods. Raises ``UnavailableError``."""
        ...


class NodeOffers:
    """What every Node offers, by name; listed once for all pods that are asked about in a while."""

    def __init__(self, source: NodeSource) -> None:
        self._source = source
        self._listed: tuple[int, Mapping[str, NodeOffer]] | None = None

    def at(self, now: int) -> Mapping[str, NodeOffer]:
        """At most ``OFFERS_LAST`` old; ``now`` is in nanoseconds. Raises ``UnavailableError``."""
        if self._listed is None or not 0 <= now - self._listed[0] < OFFERS_LAST:
            self._listed = now, {one.name: one for one in self._source.nodes()}
        return self._listed[1]


class DestinationFinder:
    """Finds nodes that would take a pod."""

    def __init__(self, *, extender: Filter, metrics: ControllerMetrics) -> None:
        self._extender = extender
        self._metrics = metrics

    def find(
        self, pod: JsonObject, offers: Sequence[NodeOffer], requested: Mapping[str, int]
    ) -> Destinations:
        """Nodes that would take it; ``requested`` is the CPU on each. ``UnavailableError``."""
        wanted, fault = pod_constraints(pod)
        if fault:
            return Destinations(fit=(), refused=dict.fromkeys([one.name for one in offers], fault))
        refused: dict[str, str] = {}
        passed: list[str] = []
        for offer in offers:
            misfit = find_misfit(wanted, offer, requested.get(offer.name, 0))
            if misfit is None:
                passed.append(offer.name)
            else:
                refused[offer.name] = misfit.value
        if not passed:
            return Destinations(fit=(), refused=refused)
        try:
            answer = self._extender.ask(pod, passed)
        except UnavailableError:
            self._metrics.questions["failed"].inc()
            raise
        self._metrics.questions["taken" if answer.fit else "refused"].inc()
        return Destinations(fit=answer.fit, refused={**refused, **answer.refused})
