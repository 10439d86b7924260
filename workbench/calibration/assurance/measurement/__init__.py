"""Runs the experiment on the kernel, and leaves the machine as it was."""
