"""Networks, from the informer."""

from collections.abc import Sequence

from daemons.scarmiglione.station.networks import DeclaredNetworks
from k40s.kube.records import NetworkRecord


class NetworkFeed:
    """The informer's handler: passes Networks on as values."""

    def __init__(self, networks: DeclaredNetworks) -> None:
        self._networks = networks

    def replace(self, records: Sequence[NetworkRecord]) -> None:
        """A complete list: others are gone."""
        self._networks.replace([record.state for record in records])

    def merge(self, records: Sequence[NetworkRecord]) -> None:
        """An incomplete list: nothing is gone."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: NetworkRecord) -> None:
        """This one is new, or has changed."""
        self._networks.put(record.state)

    def delete(self, key: str) -> None:
        """The Network of this name is gone."""
        self._networks.drop(key)
