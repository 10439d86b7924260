"""kube-controller-manager."""

from ipaddress import IPv4Network
from pathlib import Path

from localcluster.credentials.certificates import KeyPair


def command(
    binary: Path,
    *,
    kubeconfig: Path,
    authority: Path,
    service_accounts: KeyPair,
    services: IPv4Network,
    port: int,
) -> list[str]:
    """Command line of the one controller manager, each controller with its own rights."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--root-ca-file={authority}",
        f"--service-account-private-key-file={service_accounts.key}",
        f"--service-cluster-ip-range={services}",
        "--use-service-account-credentials=true",
        "--controllers=*",
        # There is only one, and an election takes seconds.
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--profiling=false",
        "--v=1",
    ]
