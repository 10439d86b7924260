"""What every node daemon shares: publication on change, Lease heartbeat, loops, start and end.

A new daemon implements ``publication.NodeReport``, names its Lease in ``leases``, builds a
``NodePublication`` and ``Loops``, and is run by ``process.run_agent``: see daemons/malacoda.
Its probes are ``k40s.http.probes``, its annotation keys ``k40s.annotations.keys``, the names of its
settings stand in ``k40s.runtime.settings``; its DaemonSet, rights and policies in manifests/base,
its layers in pyproject.toml.
"""
