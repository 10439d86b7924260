"""The API server as a pod's service account sees it: what kubelet puts into every pod.

Its address is in the environment; the CA that it is known by, and the token that proves who we
are, are files (Kubernetes documentation, "Accessing the Kubernetes API from a Pod").
"""

from collections.abc import Mapping
from pathlib import Path

import urllib3

from k40s.errors import UnavailableError

MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ServiceAccount:
    """Where the API server is, and who we are to it."""

    def __init__(self, environment: Mapping[str, str], *, directory: Path = MOUNT) -> None:
        """Raises ``UnavailableError`` when this is no pod, or one without a token."""
        self._host = environment.get("KUBERNETES_SERVICE_HOST", "")
        port = environment.get("KUBERNETES_SERVICE_PORT", "")
        if not self._host or not port.isdecimal():
            raise UnavailableError("neither a kubeconfig nor a pod's environment")
        self._port = int(port)
        self._authority = directory / "ca.crt"
        self._token = directory / "token"
        if not self._authority.is_file():
            raise UnavailableError(f"{self._authority} is missing")
        self.token()

    def pool(self, *, connections: int) -> urllib3.HTTPSConnectionPool:
        """So many kept connections to the server, which must show a certificate of its CA."""
        return urllib3.HTTPSConnectionPool(
            self._host,
            self._port,
            maxsize=connections,
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(self._authority),
        )

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
