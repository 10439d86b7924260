"""The watched cluster: Nodes, Leases and Pods from informers, kept as immutable values.

``nodes.NodeCache`` makes the ``snapshot.Snapshot`` that every call reads; ``pods`` and
``workloads`` keep what pods declare.
"""
