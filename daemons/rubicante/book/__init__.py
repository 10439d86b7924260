"""The reservations of this node, their lifecycle, leases and store."""
