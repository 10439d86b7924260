"""What an installation of this version consists of.

``tests/unit/workbench/test_cluster_health.py`` holds it to ``manifests/base``, and prints what it
should be.
"""

from types import MappingProxyType

SCHEDULER = "k40s-scheduler"
"""A stock kube-scheduler: its version is not k40s's."""
DEPLOYMENTS = MappingProxyType(
    {
        "k40s-extender": True,
        "k40s-scheduler": True,
        "k40s-webhook": True,
        "k40s-controller": True,
        "k40s-insight": False,
    }
)
"""Deployments, and whether an installation has to have each."""
DAEMON_SETS = MappingProxyType({"malacoda": True, "rubicante": True, "scarmiglione": False})
"""DaemonSets, likewise."""
DEFINITIONS = MappingProxyType(
    {
        "binding k40s-bindings": "35418ff968b3",
        "binding k40s-conditions": "06b13456e428",
        "binding k40s-give-back": "9a6c7a3ae2b4",
        "binding k40s-leases": "2a07acab9e60",
        "binding k40s-migration": "bf3e469eef38",
        "binding k40s-networks": "e319276f814c",
        "binding k40s-networks-in-use": "ec375b94d76f",
        "binding k40s-nodes": "998ee31917fd",
        "binding k40s-pods": "e992b317bd10",
        "binding k40s-priorities": "5a6f20ed11c2",
        "binding k40s-tenants": "33838f682936",
        "kind networks.k40s.io": "4e3647abb969",
        "kind tenants.k40s.io": "c2826438d7b8",
        "policy k40s-bindings": "801871c5a0a7",
        "policy k40s-conditions": "0f8fdd011a04",
        "policy k40s-give-back": "434d907adddf",
        "policy k40s-leases": "598294508a72",
        "policy k40s-migration": "bb5b4ae3b233",
        "policy k40s-networks": "731f7b65081d",
        "policy k40s-networks-in-use": "50faad7ed0a5",
        "policy k40s-nodes": "4575b778b2bb",
        "policy k40s-pods": "606e48292be0",
        "policy k40s-priorities": "97f549186a23",
        "policy k40s-tenants": "ed5c8b57b975",
    }
)
"""Digests (``workbench.cluster_health.digest``) of kinds and policies, by kind and name."""
