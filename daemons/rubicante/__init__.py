"""Rubicante, CPU admission: reserves a server on a core for each task set, and enforces it.

Packages from the top: ``daemon`` assembles, ``api`` serves reservations, ``monitoring`` compares
and reports, ``cluster`` reads and writes the API server, ``enforcement`` sets threads,
``mechanisms`` are the back ends, ``book`` keeps the reservations, ``kernel`` has one module for
each Linux interface. ``give_back`` is a process of its own that returns everything.

Where to add
- an enforcement back end: ``mechanisms``;
- a field of the published node state: ``k40s.annotations.cpu_state``, filled in
  ``cluster.node_state``;
- an event on a pod: ``cluster.pod_events.EventReason``, written by ``monitoring.feedback``,
  ``monitoring.audit`` or ``give_back.node``;
- a condition of enforcement: ``enforcement.conditions``;
- a reason for refusing: ``k40s.reasons``;
- a metric: ``metrics``; a setting: ``settings`` and the names in ``k40s.runtime.settings``.
"""
