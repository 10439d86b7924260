"""Listing what an overview is made of, from a server that does not answer in time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from k40s.errors import UnavailableError
from k40s.http.client import LateError
from k40s.kube.list_watch import Listing, WatchEvent
from k40s.kube.observation import ClusterSources, observe


@dataclass
class Source:
    """Lists nothing, or raises; counts how often it is asked."""

    error: Exception | None = None
    asked: int = 0

    def list(self) -> Listing[Any]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Listing(records=(), resource_version="1")

    def watch(self, resource_version: str) -> Iterator[WatchEvent[Any]]:
        raise NotImplementedError(resource_version)


@dataclass
class Sources:
    """All kinds, with one error or another for nodes and pods."""

    nodes: Source = field(default_factory=Source)
    pods: Source = field(default_factory=Source)
    leases: Source = field(default_factory=Source)
    networks: Source = field(default_factory=Source)
    events: tuple[Source, ...] = ()


@pytest.mark.parametrize("kind", ["nodes", "pods"])
def test_a_late_server_is_asked_nothing_more(kind: str) -> None:
    sources = Sources(**{kind: Source(LateError("GET: timed out"))})

    found = observe(cast("ClusterSources", sources))

    assert (sources.leases.asked, sources.networks.asked) == (0, 0)
    assert {kind, "leases", "networks", "events"} <= found.missing
    assert (found.failure is None) is (kind == "pods")


def test_what_one_kind_lacks_keeps_no_other_from_being_asked() -> None:
    sources = Sources(nodes=Source(UnavailableError("GET: 500")))

    found = observe(cast("ClusterSources", sources))

    assert (sources.leases.asked, found.failure, found.missing) == (1, None, {"nodes"})
