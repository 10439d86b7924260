"""Guests: small emulated machines with another kernel than this machine's.

For what this machine's own kernel cannot show: cgroup v2 partitions, PREEMPT_RT, a kernel without
real-time groups. ``trial`` runs programs in one and reads what they found; ``node`` lets one join a
local cluster. Kernels, root file systems and disks are made once and kept in the cache.
"""
