"""kube-proxy: makes the addresses of Services work, by nftables."""

from ipaddress import IPv4Network
from pathlib import Path

import yaml


def configuration(*, kubeconfig: Path, node: str, pods: IPv4Network) -> str:
    """Render a KubeProxyConfiguration.

    ``node`` must exist: kube-proxy waits for it. In the control plane's namespace it is any node.
    """
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": node,
        "clusterCIDR": str(pods),
        "bindAddress": "127.0.0.1",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # These are settings of the whole machine, not of a namespace.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return yaml.safe_dump(document, sort_keys=False)


def command(binary: Path, *, config: Path) -> list[str]:
    """Command line, to be run in a node's (or the control plane's) namespaces."""
    return [str(binary), f"--config={config}", "--v=1"]
