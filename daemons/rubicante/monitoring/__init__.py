"""Overruns, enforcement failures, and the audit of book, pods and kernel."""
