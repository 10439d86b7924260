"""The pod network of a node: a bridge of its own; other nodes' pods are reached by routes."""

import json
from ipaddress import IPv4Network


def configuration(*, network: str, pods: IPv4Network) -> str:
    """Render a conflist. No masquerading: every address in the cluster is routed."""
    document = {
        "cniVersion": "0.4.0",
        "name": network,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }
    return json.dumps(document, indent=1)
