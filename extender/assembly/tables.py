"""The cluster as the extender knows it: the tables that the watches feed."""

from extender.cache.bound_pods import BoundPods
from extender.cache.claims import ClaimTable
from extender.cache.networks import NetworkTable
from extender.cache.nodes import NodeCache
from extender.cache.pod_places import PodPlaces
from extender.cache.pods import PodTable
from extender.cache.runtimes import RuntimeTable
from extender.cache.tenants import TenantTable
from extender.cache.workloads import WorkloadCache
from extender.settings import ExtenderSettings
from k40s.kube.records import PodRecord
from k40s.kube.watching.feed import Feed
from k40s.units import Clock, WallClock


class Tables:
    """All tables. A change that may admit a refused pod touches the cache of nodes."""

    def __init__(self, settings: ExtenderSettings, *, clock: Clock, wall: WallClock) -> None:
        self.nodes = NodeCache(thresholds=settings.thresholds, clock=clock, wall=wall)
        self.workloads = WorkloadCache()
        self.pods = PodTable(self.workloads)
        self.networks = NetworkTable(on_change=self.nodes.touch)
        self.tenants = TenantTable(workloads=self.workloads, on_change=self.nodes.touch)
        self.places = PodPlaces(on_gone=self._pod_gone, on_placed=self.nodes.touch)
        self.bound_pods = BoundPods(self.workloads, namespaces=(settings.namespace,), clock=clock)
        self.claims = ClaimTable(self.workloads, wall=wall)
        self.runtimes = RuntimeTable(on_change=self.nodes.touch)

    @property
    def pod_feed(self) -> Feed[PodRecord]:
        """What the watch of pods feeds, in its order."""
        return (
            self.nodes.pods.and_then(self.pods.feed)
            .and_then(self.tenants.pods)
            .and_then(self.places.feed)
            .and_then(self.bound_pods.feed)
            .and_then(self.claims.feed)
        )

    def _pod_gone(self, uid: str) -> None:
        self.networks.pod_gone(uid)
        self.tenants.pod_gone(uid)
