"""kube-apiserver."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from localcluster.credentials.certificates import KeyPair


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServerFiles:
    """Certificates and keys: own identity, etcd's, kubelets', and the service accounts' key."""

    authority: Path
    server: KeyPair
    kubelet_client: KeyPair
    etcd_authority: Path
    etcd_server: KeyPair
    etcd_client: KeyPair
    service_accounts: KeyPair


def command(
    binary: Path,
    *,
    files: ApiServerFiles,
    address: IPv4Address,
    port: int,
    etcd_port: int,
    services: IPv4Network,
) -> list[str]:
    """Command line of the one API server; it listens on ``address`` only."""
    # The `kubernetes` Service cannot point at loopback; without pods nothing needs it.
    reconciler = ["--endpoint-reconciler-type=none"] if address.is_loopback else []
    return [
        str(binary),
        f"--advertise-address={address}",
        f"--bind-address={address}",
        f"--secure-port={port}",
        f"--service-cluster-ip-range={services}",
        f"--etcd-servers=https://127.0.0.1:{etcd_port}",
        f"--etcd-cafile={files.etcd_authority}",
        f"--etcd-certfile={files.etcd_client.certificate}",
        f"--etcd-keyfile={files.etcd_client.key}",
        f"--client-ca-file={files.authority}",
        f"--tls-cert-file={files.server.certificate}",
        f"--tls-private-key-file={files.server.key}",
        f"--kubelet-certificate-authority={files.authority}",
        f"--kubelet-client-certificate={files.kubelet_client.certificate}",
        f"--kubelet-client-key={files.kubelet_client.key}",
        # Node names do not resolve: there is no DNS server.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={files.service_accounts.certificate}",
        f"--service-account-signing-key-file={files.service_accounts.key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        "--v=1",
        *reconciler,
    ]
