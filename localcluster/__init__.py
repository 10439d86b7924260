"""A real Kubernetes on one Linux machine, without Docker and without patching anything.

``Cluster`` brings up a control plane and nodes in namespaces of their own; ``ControlPlane`` is the
lighter half for tests and benchmarks that need a real API server and scheduler but no kubelet.
"""
