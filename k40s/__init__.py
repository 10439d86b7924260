"""The k40s model as a library: workloads, analyses, assurance, and their text forms.

It starts no process. Everything outside ``k40s.runtime`` is pure.
"""
