"""Threads and processes that try out what the kernel does: admit, charge, wake up, delay."""
