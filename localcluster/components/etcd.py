"""etcd: the API server's store."""

from pathlib import Path

from localcluster.credentials.certificates import KeyPair


def command(
    binary: Path,
    *,
    data: Path,
    authority: Path,
    identity: KeyPair,
    client_port: int,
    peer_port: int,
) -> list[str]:
    """Command line of a single member that listens on loopback and asks for client certificates."""
    client = f"https://127.0.0.1:{client_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    return [
        str(binary),
        "--name=local",
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={authority}",
        f"--cert-file={identity.certificate}",
        f"--key-file={identity.key}",
        # A local cluster is made again, not restored: speed is worth more than a power cut.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
