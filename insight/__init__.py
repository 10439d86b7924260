"""What people see: the page, the overview of the cluster, explanations of pods.

It reads, and never writes. Each reader gets what the reader's own Kubernetes token may see.
"""
