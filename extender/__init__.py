"""The scheduler extender: kube-scheduler's filter, prioritize and bind for k40s.

Rooms from the top: ``service`` assembles, ``app`` serves, ``verbs`` answers one call each,
``binding`` and ``monitoring`` act on the cluster, ``placement`` decides, ``cache`` watches.

Where to add
- a verb, or a step of bind: ``extender.verbs``;
- a reason: ``k40s.reasons``, returned where it is found: ``cache.node_entry`` (a node's published
  state), ``placement.candidates`` (assurance), ``k40s.cpu.admission`` (CPU),
  ``binding.outcome`` (the pod or the API server), ``binding.reservation`` (the node's answer).
  ``verbs.filter`` lists the transient ones, ``binding.reservation`` those that do not depend on a
  node's state;
- a field of the node state: ``k40s.annotations.cpu_state.CpuState``, seen as ``NodeView.cpu``; what
  is derived from it, or refuses the node: ``cache.snapshot.NodeView`` and ``cache.node_entry``;
- a score: ``placement.score``; a metric: ``metrics``; a setting: ``settings``.
"""
