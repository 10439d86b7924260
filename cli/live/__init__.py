"""Commands that ask a cluster, by the caller's own rights."""
