"""Admission of pods to a node's cores: search, placement, and the last schedulability test.

The built-in test is ``schedulability``, made of ``k40s.cpu.analysis``. A stronger analysis also
belongs into the search, which proposes servers: ``core_fit``, ``band_placement``, ``growth`` and
``k40s.cpu.synthesis``; and ``k40s.cpu.outcome.ADMISSION_TEST`` gets another name, by which extender
and node know that they run the same test. A test from outside this tree is an installed one:
``k40s.admission_plugins``.
"""
