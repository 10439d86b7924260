"""A node of a cluster: its state from the API server, its daemon's answer over HTTP.

Each module is imported on use only: the Kubernetes client and TLS are slow to import.
"""
