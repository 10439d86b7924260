"""kube-scheduler."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

DEFAULT_CONFIGURATION: Mapping[str, Any] = {"leaderElection": {"leaderElect": False}}


def configuration(wanted: Mapping[str, Any], *, kubeconfig: Path) -> str:
    """Render a KubeSchedulerConfiguration with the given keys; it connects by ``kubeconfig``."""
    connection = {**wanted.get("clientConnection", {}), "kubeconfig": str(kubeconfig)}
    document = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        **DEFAULT_CONFIGURATION,
        **wanted,
        "clientConnection": connection,
    }
    return yaml.safe_dump(document, sort_keys=False)


def command(
    binary: Path,
    *,
    config: Path,
    kubeconfig: Path,
    port: int,
    v: int = 1,
    flags: Sequence[str] = (),
) -> list[str]:
    """Command line of a scheduler; ``config`` has everything else but further ``flags``."""
    return [
        str(binary),
        f"--config={config}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--v={v}",
        *flags,
    ]
