"""Connects to the Kubernetes API server: the only module that imports ``kubernetes``.

With a kubeconfig, the client library finds the server, the credentials and the proxy. In a pod all
that is given, and the library stays out of memory: importing any part of it imports all of it,
OAuth and pydantic included, 17 MB in each process on each node. Requests are sent by ``HttpClient``
either way.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.http.connection_pool import Proxy
from k40s.http.listening import format_authority
from k40s.http.tls import ClientTls
from k40s.kube.gateway import KubeGateway
from k40s.kube.transport import MAX_ANSWER, ApiTransport
from k40s.units import NS_PER_S, Nanoseconds

MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_TIMEOUT = Nanoseconds(10 * NS_PER_S)
_CONNECTIONS = 32
_PROXY_PORT = 80
_alone = threading.Lock()
"""For the library, whose state is global: it keeps embedded certificates in files that it names
before it has written them."""
_PATIENCE = 60.0
"""Seconds for another thread's exec plugin to end."""


def connect(
    *,
    kubeconfig: str | None = None,
    context: str = "",
    environment: Mapping[str, str] | None = None,
    service_account: Path = MOUNT,
    timeout: Nanoseconds = DEFAULT_TIMEOUT,
) -> KubeGateway:
    """Connect by ``kubeconfig``, or by the service account of the pod that this runs in.

    ``kubeconfig`` is the path of a file, or several as in ``KUBECONFIG``; ``context`` is one of
    its contexts, "" the current one.

    ``environment`` is the pod's, ``service_account`` the directory of its token. Nothing is sent
    yet. Raises ``UnavailableError`` when neither can be read.
    """
    try:
        if kubeconfig:
            return _connect_by_kubeconfig(kubeconfig, context, timeout)
        account = ServiceAccount(environment or {}, directory=service_account)
        client = HttpClient(
            base_url=account.url,
            tls=account.tls,
            authorization=account.token,
            timeout=timeout,
            max_idle=_CONNECTIONS,
            max_answer=MAX_ANSWER,
        )
    except UnavailableError as error:
        raise UnavailableError(f"no way to the API server: {error}") from error
    return KubeGateway(ApiTransport(client))


def caller_token(kubeconfig: str, context: str = "") -> str:
    """The bearer token of a kubeconfig's user, for another server that asks the API server.

    Token files and exec plugins are followed. "" where the user has none, as with a client
    certificate. Raises ``UnavailableError`` when the kubeconfig cannot be used.
    """
    return _authorization(_load(kubeconfig, context)).removeprefix("Bearer ")


def _load(kubeconfig: str, context: str) -> Any:  # noqa: ANN401  # of a library without types
    """The library's configuration by a kubeconfig."""
    from kubernetes import client, config  # noqa: PLC0415  # memory

    from k40s.kube.kubeconfig import read_kubeconfig  # noqa: PLC0415  # memory

    settings = client.Configuration()
    try:
        found = read_kubeconfig(kubeconfig, context=context)
        load: Callable[..., None] = config.load_kube_config
        with _reading_alone():
            load(
                config_file=os.pathsep.join(map(str, found.files)),
                context=found.context,
                client_configuration=settings,
            )
    except (config.ConfigException, OSError, ValueError) as error:
        raise UnavailableError(str(error)) from error
    return settings


@contextmanager
def _reading_alone() -> Iterator[None]:
    """No other thread reads a kubeconfig meanwhile."""
    if not _alone.acquire(timeout=_PATIENCE):
        raise UnavailableError("another thread is still waiting for a kubeconfig's credentials")
    try:
        yield
    finally:
        _alone.release()


def _authorization(settings: Any) -> str:  # noqa: ANN401  # as above
    """The ``Authorization`` header, "" where the user has no token."""
    from kubernetes import config  # noqa: PLC0415  # memory

    try:
        with _reading_alone():
            return settings.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
    except (config.ConfigException, OSError) as error:
        raise UnavailableError(f"kubeconfig's token: {error}") from error


def _connect_by_kubeconfig(kubeconfig: str, context: str, timeout: Nanoseconds) -> KubeGateway:
    from kubernetes import client  # noqa: PLC0415  # memory

    settings = _load(kubeconfig, context)
    try:
        manager = client.ApiClient(settings).rest_client.pool_manager
    except (OSError, ValueError) as error:
        raise UnavailableError(str(error)) from error
    return KubeGateway(
        ApiTransport(
            HttpClient(
                base_url=settings.host.rstrip("/"),
                tls=_tls(settings),
                server_name=settings.tls_server_name or None,
                authorization=partial(_authorization, settings),
                proxy=_proxy(manager.proxy, settings.proxy_headers),
                timeout=timeout,
                max_idle=_CONNECTIONS,
                max_answer=MAX_ANSWER,
            )
        )
    )


def _tls(settings: Any) -> ClientTls:  # noqa: ANN401  # of a library without types
    files = (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
    ca, cert, key = (Path(name) if name else None for name in files)
    return ClientTls(ca=ca, cert=cert, key=key, verify=bool(settings.verify_ssl))


def _proxy(url: Any, headers: Mapping[str, str] | None) -> Proxy | None:  # noqa: ANN401  # as above
    """The proxy that the library has chosen, by kubeconfig, environment and ``NO_PROXY``."""
    if url is None:
        return None
    if url.scheme != "http" or not url.host:
        raise UnavailableError(f"proxy of the scheme {url.scheme!r}, expected http")
    return Proxy(url.host, url.port or _PROXY_PORT, headers or {})


class ServiceAccount:
    """The API server as kubelet gives it to a pod: its address, CA and token.

    The address is in the environment, the others are files (Kubernetes documentation, "Accessing
    the Kubernetes API from a Pod").
    """

    def __init__(self, environment: Mapping[str, str], *, directory: Path = MOUNT) -> None:
        """Raises ``UnavailableError`` when this is no pod, or one without a token."""
        host = environment.get("KUBERNETES_SERVICE_HOST", "").removeprefix("[").removesuffix("]")
        port = environment.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port.isdecimal():
            raise UnavailableError("neither a kubeconfig nor a pod's environment")
        self.url = f"https://{format_authority(host, int(port))}"
        """Of the API server."""
        self._authority = directory / "ca.crt"
        self._token = directory / "token"
        if not self._authority.is_file():
            raise UnavailableError(f"{self._authority} is missing")
        self.token()

    @property
    def tls(self) -> ClientTls:
        """The server must show a certificate of the cluster's CA."""
        return ClientTls(ca=self._authority)

    def token(self) -> str:
        """The ``Authorization`` header; kubelet renews the token behind it about every hour.

        Raises ``UnavailableError`` when there is none.
        """
        try:
            words = self._token.read_text(encoding="ascii").split()
        except (OSError, ValueError) as error:
            raise UnavailableError(f"service account token: {error}") from error
        if len(words) != 1:  # a line break would end up in an error's text, with the token
            raise UnavailableError(f"service account token: {self._token} holds none")
        return f"Bearer {words[0]}"
