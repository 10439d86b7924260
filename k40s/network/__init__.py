"""Networks of the cluster: members, links, who holds which part of them, and what fits. Pure."""
