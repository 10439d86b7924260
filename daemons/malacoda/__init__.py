"""Malacoda, the assurance monitor: samples the node, judges its state, publishes its level."""
