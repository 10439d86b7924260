"""Networks as the controller reads and writes them at the API server."""

from collections.abc import Sequence

from k40s.kube.objects.network_status import WatchedNetwork, status_patch, watched_network
from k40s.kube.objects.networks import NETWORKS
from k40s.kube.transport import MERGE_PATCH, ApiTransport
from k40s.kube.watching.sources import ApiSource
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.status import NetworkSummary


def network_source(api: ApiTransport) -> ApiSource[WatchedNetwork]:
    """List and watch of Networks. Where their definition is missing, they are unavailable."""
    return ApiSource(api, NETWORKS, "", watched_network)


class NetworkStatuses:
    """Writes the status of Networks."""

    def __init__(self, api: ApiTransport) -> None:
        self._api = api

    def write(
        self,
        state: NetworkState,
        summary: NetworkSummary,
        reservations: Sequence[NetworkReservation] | None,
    ) -> None:
        """Write what is said of a Network that is still at the version of ``state``.

        ``reservations`` are left as they are where None. Raises ``ConflictError`` when the Network
        is at another version, ``NotFoundError`` when it is gone, and ``UnavailableError``.
        """
        body = status_patch(state, summary, reservations)
        path = f"{NETWORKS}/{state.network.name}/status"
        self._api.request("PATCH", path, body, content_type=MERGE_PATCH)
