"""The Networks of the cluster at the versions that the watch has shown."""

import threading
from collections.abc import Mapping, Sequence

from k40s.kube.objects.network_status import WatchedNetwork


class NetworkTable:
    """Handler of Networks. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._networks: dict[str, WatchedNetwork] = {}

    def networks(self) -> Mapping[str, WatchedNetwork]:
        """A copy that does not change, by name."""
        with self._lock:
            return dict(self._networks)

    def replace(self, records: Sequence[WatchedNetwork]) -> None:
        """All Networks."""
        with self._lock:
            self._networks = {one.key: one for one in records}

    def merge(self, records: Sequence[WatchedNetwork]) -> None:
        """Some of them."""
        with self._lock:
            self._networks |= {one.key: one for one in records}

    def upsert(self, record: WatchedNetwork) -> None:
        """A Network is new or has changed."""
        with self._lock:
            self._networks[record.key] = record

    def delete(self, key: str) -> None:
        """A Network is gone."""
        with self._lock:
            self._networks.pop(key, None)
