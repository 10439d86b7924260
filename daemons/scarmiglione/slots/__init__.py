"""The slots of this node's pods: the book, setting them up and taking them back, reconciliation."""
