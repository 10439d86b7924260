"""kubelet."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from localcluster.addresses import SERVICE_RANGE
from localcluster.components.containerd import SOCKET
from localcluster.credentials.certificates import KeyPair

ROOT = Path("/var/lib/kubelet")
"""Path inside a node."""

POD_LOGS = Path("/var/log/pods")


def configuration(
    *,
    cgroup: str,
    address: IPv4Address,
    authority: Path,
    server: KeyPair,
    reserved: Mapping[str, str],
    resolv_conf: Path,
) -> str:
    """Render a KubeletConfiguration.

    ``reserved`` is what the machine has and this node does not, such as ``{"cpu": "1"}``.
    """
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,  # real-time budgets need v1, which 1.35 refuses by default
        "cgroupRoot": f"/{cgroup}",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "address": str(address),
        "healthzBindAddress": "127.0.0.1",
        "tlsCertFile": str(server.certificate),
        "tlsPrivateKeyFile": str(server.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "cpuManagerPolicy": "none",  # another policy would rewrite the cpusets of our daemons
        "enforceNodeAllocatable": ["pods"],
        "systemReserved": dict(reserved),
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi"},
        "maxOpenFiles": 20000,
        "oomScoreAdj": 0,
        "resolvConf": str(resolv_conf),
        # Nothing answers there, and kube-proxy rejects it: a look-up fails at once.
        "clusterDNS": [str(SERVICE_RANGE[10])],
        "clusterDomain": "cluster.local",
        "failSwapOn": False,
        "podLogsDir": str(POD_LOGS),
        "nodeStatusUpdateFrequency": "5s",
        "shutdownGracePeriod": "0s",
    }
    return yaml.safe_dump(document, sort_keys=False)


def command(
    binary: Path,
    *,
    config: Path,
    kubeconfig: Path,
    node: str,
    address: IPv4Address,
    labels: Mapping[str, str],
) -> list[str]:
    """Command line, to be run in the node's namespaces."""
    return [
        str(binary),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={ROOT}",
        f"--hostname-override={node}",
        f"--node-ip={address}",
        "--node-labels=" + ",".join(f"{key}={value}" for key, value in labels.items()),
        "--v=1",
    ]
