"""Kubeconfig files: how a component or a person reaches the API server."""

from base64 import b64encode
from pathlib import Path

import yaml

from localcluster.credentials.certificates import KeyPair
from localcluster.host.files import write_changed


def write_kubeconfig(path: Path, *, server: str, authority: Path, identity: KeyPair) -> Path:
    """Write a kubeconfig that stands alone (certificates inside), readable by its owner only."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "clusters": [
            {
                "name": "local",
                "cluster": {"server": server, "certificate-authority-data": _inline(authority)},
            }
        ],
        "users": [
            {
                "name": "local",
                "user": {
                    "client-certificate-data": _inline(identity.certificate),
                    "client-key-data": _inline(identity.key),
                },
            }
        ],
    }
    write_changed(path, yaml.safe_dump(document), mode=0o600)
    return path


def _inline(path: Path) -> str:
    return b64encode(path.read_bytes()).decode("ascii")
