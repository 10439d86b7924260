"""Scarmiglione, the network daemon: keeps pods' slots on a node's station, and reports its health.

From the top: ``api`` sets slots up on request; ``monitoring`` judges each station's health;
``cluster`` reads Networks and pods, and publishes; ``slots`` has the book and its reconciliation
with statuses, pods and kernel; ``station`` has the Networks that the node is on; ``network`` has
the back ends, the only package with system calls.

To add:

- a back end: a package in ``network``, found in ``network.discovery``;
- a fault of a station: ``monitoring.health.Health``;
- an event: ``cluster.events.EventReason``.
"""
