"""Command lines and configuration files of Kubernetes' components, one module each. Pure."""
