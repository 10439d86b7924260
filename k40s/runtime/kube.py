"""The way to the Kubernetes API server: the only module that imports ``kubernetes``.

The client library finds the server, proves who we are and keeps the connections; what travels over
them is ours (``kube_gateway``).
"""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from kubernetes import client, config

from k40s.errors import UnavailableError
from k40s.runtime.kube_gateway import KubeGateway
from k40s.runtime.kube_transport import ApiTransport, ConflictError, NotFoundError
from k40s.units import NS_PER_S, Nanoseconds

__all__ = ["ConflictError", "KubeGateway", "NotFoundError", "connect"]

DEFAULT_TIMEOUT = Nanoseconds(10 * NS_PER_S)
load_kubeconfig: Callable[..., None] = config.load_kube_config
load_service_account: Callable[..., None] = config.load_incluster_config
_CONNECTIONS = 32
_TOKEN_KNOWN_FOR = 10 * NS_PER_S


def connect(
    *, kubeconfig: str | None = None, timeout: Nanoseconds = DEFAULT_TIMEOUT
) -> KubeGateway:
    """Connect as the pod's service account, or as ``kubeconfig`` (a path) says.

    Nothing is sent yet. Raises ``UnavailableError`` when neither can be read.
    """
    settings = client.Configuration()
    try:
        if kubeconfig:
            load_kubeconfig(config_file=kubeconfig, client_configuration=settings)
        else:
            load_service_account(client_configuration=settings)
        settings.connection_pool_maxsize = _CONNECTIONS
        pools = client.ApiClient(settings).rest_client.pool_manager
    except (config.ConfigException, OSError) as error:
        raise UnavailableError(f"no way to the API server: {error}") from error

    return KubeGateway(
        ApiTransport(
            pool=pools.connection_from_url(settings.host),
            authorize=_Authorization(settings).headers,
            timeout=timeout,
            base_path=urlsplit(settings.host).path.rstrip("/"),
        )
    )


class _Authorization:
    """Who we are, as headers: the token on disk is renewed about every hour.

    The library reads the file once a minute, but works out proxies anew at each question, which
    costs a sixth of a whole request: so it is asked every ten seconds.
    """

    def __init__(self, settings: client.Configuration) -> None:
        self._settings = settings
        self._known: tuple[int, Mapping[str, str]] | None = None

    def headers(self) -> Mapping[str, str]:
        now = time.monotonic_ns()
        known = self._known
        if known is not None and now - known[0] < _TOKEN_KNOWN_FOR:
            return known[1]
        try:
            token = self._settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        except (config.ConfigException, OSError) as error:
            raise UnavailableError(f"service account token: {error}") from error
        headers = {"Authorization": token} if token else {}
        self._known = (now, headers)
        return headers
