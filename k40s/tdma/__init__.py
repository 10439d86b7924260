"""TDMA on one network: cycle, slots, what can be expressed in them, and the search for a place.

Pure. Units: time in ns, sizes in bytes, bit rate in bit/s. Source: docs/tdma.md.
"""
