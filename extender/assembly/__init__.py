"""The extender put together: tables, the watches that feed them, and the verbs that read them.

Clocks and adapters are injected (``adapters.Adapters``), so that ``extender.service`` assembles a
process and a test assembles one over fakes, in the same way. A check of filter is listed in
``verbs``, a step of bind in ``binding``, a watch in ``watches``.
"""
