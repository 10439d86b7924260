"""The way to insight: its address, whom to trust there, and the caller's own token."""

import base64
import binascii
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from k40s.errors import InvalidInputError, K40sError, UnavailableError
from k40s.http.client import HttpClient
from k40s.http.tls import ClientTls
from k40s.insight_api.client import MAX_ANSWER, TIMEOUT, InsightClient
from k40s.kube.connect import caller_token, connect
from k40s.kube.kubeconfig import kubeconfig_files
from k40s.kube.transport import ForbiddenError, NotFoundError
from workbench.live_cluster.forwarding import forwarded_port

SERVICE = "k40s-insight"
PORT = 443
_TLS_SECRET = "k40s-insight-tls"  # noqa: S105  # the name of an object
_NO_LOGIN = (
    "the kubeconfig's user has no token, only a client certificate, and insight asks the API "
    "server whose token it is given: kubectl create token SERVICEACCOUNT -n NAMESPACE > FILE, "
    "then --token-file FILE"
)


class NoTokenError(K40sError):
    """The caller's kubeconfig has no token that insight could check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightChoice:
    """What the caller has said. "" leaves a setting to the kubeconfig, or to the cluster."""

    kubeconfig: str = ""
    context: str = ""
    server: str = ""
    ca: str = ""
    token_file: str = ""
    system_namespace: str = "k40s-system"


@contextmanager
def insight_client(choice: InsightChoice) -> Iterator[InsightClient]:
    """A client while the context lasts. Raises ``UnavailableError`` and ``InvalidInputError``."""
    if choice.server:
        _check_server(choice.server)
    token = _token(choice)
    if choice.server:
        tls = ClientTls(ca=Path(choice.ca) if choice.ca else None)
        yield _client(choice.server.rstrip("/"), tls, token, server_name=None)
        return
    with _trusted(choice) as authority:
        forwarded = forwarded_port(
            SERVICE,
            PORT,
            namespace=choice.system_namespace,
            kubeconfig=choice.kubeconfig,
            context=choice.context,
        )
        with forwarded as port:
            tls = ClientTls(ca=authority)
            yield _client(f"https://127.0.0.1:{port}", tls, token, server_name=SERVICE)


def _client(url: str, tls: ClientTls, token: str, *, server_name: str | None) -> InsightClient:
    return InsightClient(
        HttpClient(
            base_url=url,
            tls=tls,
            server_name=server_name,
            authorization=lambda: f"Bearer {token}",
            timeout=TIMEOUT,
            max_answer=MAX_ANSWER,
        )
    )


def _check_server(server: str) -> None:
    """Raises ``InvalidInputError`` for what is no address of a TLS server."""
    try:
        parts = urlsplit(server)
        has_host = bool(parts.hostname) and parts.port != 0  # which raises for a port that is none
    except ValueError:
        has_host = False
    if not has_host or not server.startswith("https://"):
        expected = "a URL that begins https://, with a host"
        raise InvalidInputError(source="--server", path="$", found=server, expected=expected)


def _token(choice: InsightChoice) -> str:
    if choice.token_file:
        words = Path(choice.token_file).read_text(encoding="ascii", errors="replace").split()
        if len(words) != 1 or not (words[0].isascii() and words[0].isprintable()):
            raise InvalidInputError(
                source="--token-file",
                path="$",
                found=choice.token_file,
                expected="a file with one token and nothing else",
            )
        return words[0]
    token = caller_token(kubeconfig_setting(choice.kubeconfig), choice.context)
    if not token:
        raise NoTokenError(_NO_LOGIN)
    return token


def kubeconfig_setting(said: str) -> str:
    """The kubeconfig files that count. Raises ``UnavailableError`` where there is none."""
    setting = said or os.environ.get("KUBECONFIG", "") or "~/.kube/config"
    if not kubeconfig_files(setting):
        raise UnavailableError(f"no kubeconfig file: {setting}")
    return setting


@contextmanager
def _trusted(choice: InsightChoice) -> Iterator[Path]:
    """The authority of the server's certificate: a file, or what the caller may read of it."""
    if choice.ca:
        yield Path(choice.ca)
        return
    path = f"/api/v1/namespaces/{choice.system_namespace}/secrets/{_TLS_SECRET}"
    setting = kubeconfig_setting(choice.kubeconfig)
    try:
        secret = connect(kubeconfig=setting, context=choice.context).api.request("GET", path)
        content = base64.b64decode(secret["data"]["ca.crt"], validate=True)
    except (ForbiddenError, NotFoundError, KeyError, TypeError, binascii.Error) as error:
        raise InvalidInputError(
            source="--ca",
            path="$",
            found=None,
            expected="the file ca.crt that k40s certificates wrote, by which insight is trusted "
            f"(the Secret {_TLS_SECRET} is not yours to read)",
        ) from error
    with tempfile.NamedTemporaryFile(suffix=".crt") as file:
        file.write(content)
        file.flush()
        yield Path(file.name)
