"""Input files: task sets, Kubernetes manifests, node states."""
