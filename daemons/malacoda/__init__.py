"""Malacoda, the assurance monitor: samples the node, detects hazards, publishes the level.

What it computes is pure and stands in ``k40s.assurance``.

Where to add
- a metric of the node's state: ``k40s.assurance.metrics``; the counter behind it: ``sampler``,
  ``proc_text`` and ``k40s.assurance.counters``;
- a rule that watches a metric: a profile (``k40s.assurance.profile``), or the built-in one's
  ``k40s.assurance.detector.DEFAULT_RULES``;
- what Prometheus reads: ``metrics`` (a metric of the node's state appears there by itself);
- a setting: ``settings`` and the names in ``k40s.runtime.settings``.
"""
