"""A guest that is a Debian machine as it comes: its own kernel, systemd, cgroup v2, no network.

What a user would have there is on its disks: the packages of ``make packages``, a checkout with its
Python packages, and the cache of built programs and images. So the demo runs in it as it would for
that user: ``python -m localcluster.guest.stock``.
"""
