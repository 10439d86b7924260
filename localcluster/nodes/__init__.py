"""Nodes on this machine: containerd, kubelet and kube-proxy."""
