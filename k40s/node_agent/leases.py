"""Names of the Leases that node daemons renew as heartbeat. Pure: the extender reads them too."""


def malacoda_lease(node: str) -> str:
    """The Lease of the node's assurance monitor."""
    return f"malacoda-{node}"


def rubicante_lease(node: str) -> str:
    """The Lease of the node's CPU admission daemon."""
    return f"rubicante-{node}"


def scarmiglione_lease(node: str) -> str:
    """The Lease of the node's network daemon."""
    return f"scarmiglione-{node}"
