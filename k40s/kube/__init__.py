"""The Kubernetes API server: connecting, requests, list and watch, and the objects read from it."""
