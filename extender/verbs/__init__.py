"""kube-scheduler's calls, one module a verb: its request, its decision, its reply.

A new verb is a module here with a class like ``filter.Filter``, a member of ``verb.Verbs``, a
label in ``extender.metrics`` and an entry in ``manifests/base/scheduler-config.yaml``; its request
is parsed in ``extender.protocol``, and ``extender.assembly.verbs`` assembles it.
A step of bind is a call in ``bind.Binder``, and its own code stands in ``extender.binding``.
"""
