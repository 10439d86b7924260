"""Scarmiglione, the network daemon: keeps pods' slots on a node's station, and reports its health.

``network`` has the back ends, the only package with system calls.
"""
