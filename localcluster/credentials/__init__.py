"""The cluster's certificates, keys and kubeconfig files."""
