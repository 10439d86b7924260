"""Chooses the metrics of a node's assurance monitor by measurement (k4.0s paper, section V).

``plan`` is what is measured and recorded, ``measurement`` runs it on the kernel, ``judgement``
makes scores, rules and a profile of what was recorded.
"""
