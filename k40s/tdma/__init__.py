"""TDMA on one network: cycle, slots, what can be expressed in them, and the search for a place.

Pure. Units: time in ns, sizes in bytes, bit rate in bit/s. Source: docs/tdma.md.
"""

from k40s.tdma.conflict import check_table
from k40s.tdma.damage import damage, utilization
from k40s.tdma.search import find_grant

__all__ = ["check_table", "damage", "find_grant", "utilization"]
