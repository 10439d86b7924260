"""Enforces the book in the kernel, pod by pod: finds threads, sets them, releases them."""
