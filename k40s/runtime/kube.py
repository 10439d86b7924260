"""The way to the Kubernetes API server: the only module that imports ``kubernetes``.

With a kubeconfig, the client library finds the server, proves who we are and makes the connections.
In a pod all that is given, and the library stays out of memory: to import any part of it is to
import every one, OAuth and pydantic included, 17 MB in each process on each node. What travels
over the connections is ours either way (``kube_gateway``).
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from urllib3.connectionpool import HTTPConnectionPool

from k40s.errors import UnavailableError
from k40s.runtime.kube_gateway import KubeGateway
from k40s.runtime.kube_transport import ApiTransport, ConflictError, NotFoundError
from k40s.runtime.service_account import MOUNT, ServiceAccount
from k40s.units import NS_PER_S, Nanoseconds

__all__ = ["ConflictError", "KubeGateway", "NotFoundError", "connect"]

DEFAULT_TIMEOUT = Nanoseconds(10 * NS_PER_S)
_CONNECTIONS = 32
_TOKEN_KNOWN_FOR = 10 * NS_PER_S


def connect(
    *,
    kubeconfig: str | None = None,
    environment: Mapping[str, str] | None = None,
    service_account: Path = MOUNT,
    timeout: Nanoseconds = DEFAULT_TIMEOUT,
) -> KubeGateway:
    """Connect as ``kubeconfig`` (a path) says, or as the service account of the pod we are in.

    ``environment`` is the pod's, ``service_account`` the directory of its token. Nothing is sent
    yet. Raises ``UnavailableError`` when neither can be read.
    """
    try:
        if kubeconfig:
            return _gateway(*_by_kubeconfig(kubeconfig), timeout)
        account = ServiceAccount(environment or {}, directory=service_account)
    except UnavailableError as error:
        raise UnavailableError(f"no way to the API server: {error}") from error
    return _gateway(account.pool(connections=_CONNECTIONS), "", account.token, timeout)


def _gateway(
    pool: HTTPConnectionPool, base_path: str, token: Callable[[], str], timeout: Nanoseconds
) -> KubeGateway:
    return KubeGateway(
        ApiTransport(
            pool=pool,
            authorize=_Authorization(token).headers,
            timeout=timeout,
            base_path=base_path,
        )
    )


def _by_kubeconfig(kubeconfig: str) -> tuple[HTTPConnectionPool, str, Callable[[], str]]:
    """The connections, the path before each request's, and the ``Authorization`` header."""
    from kubernetes import client, config  # noqa: PLC0415  # memory

    settings = client.Configuration()

    def token() -> str:
        try:
            return settings.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
        except (config.ConfigException, OSError) as error:
            raise UnavailableError(f"kubeconfig's token: {error}") from error

    try:
        load: Callable[..., None] = config.load_kube_config
        load(config_file=kubeconfig, client_configuration=settings)
        settings.connection_pool_maxsize = _CONNECTIONS
        pools = client.ApiClient(settings).rest_client.pool_manager
    except (config.ConfigException, OSError) as error:
        raise UnavailableError(str(error)) from error
    host = settings.host
    return pools.connection_from_url(host), urlsplit(host).path.rstrip("/"), token


class _Authorization:
    """Who we are, as headers: asked before each request, found out every ten seconds.

    A pod's token is a file that is renewed about every hour. The library works out proxies anew at
    each question, which costs a sixth of a whole request.
    """

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token
        self._known: tuple[int, Mapping[str, str]] | None = None

    def headers(self) -> Mapping[str, str]:
        now = time.monotonic_ns()
        known = self._known
        if known is not None and now - known[0] < _TOKEN_KNOWN_FOR:
            return known[1]
        token = self._token()
        headers = {"Authorization": token} if token else {}
        self._known = (now, headers)
        return headers
