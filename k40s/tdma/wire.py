"""Time on the wire of Ethernet frames, and the largest packet that a time holds.

A frame is preamble and delimiter (8 bytes), header (14), at least 46 bytes of payload, checksum (4)
and the gap before the next frame (12): IEEE 802.3.
"""

from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds

FRAME_OVERHEAD = 38
"""Bytes on the wire besides the payload."""
SHORTEST_PAYLOAD = 46
"""Shorter payloads are padded to so many bytes."""
SYNC_PAYLOAD = 28
"""Bytes of RTnet's Sync frame; padded, it takes 84 bytes on the wire."""
_BITS = 8


def wire_bytes(payload: int) -> int:
    """Bytes that a packet takes on the wire."""
    return max(payload, SHORTEST_PAYLOAD) + FRAME_OVERHEAD


def wire_time(payload: int, bit_rate: int) -> Nanoseconds:
    """Time that a packet takes on the wire, rounded up to ns."""
    return Nanoseconds(-(-wire_bytes(payload) * _BITS * NS_PER_S // bit_rate))


def bytes_within(length: int, bit_rate: int) -> int:
    """Whole bytes that pass in ``length`` ns."""
    return length * bit_rate // (_BITS * NS_PER_S)


def time_of(count: int, bit_rate: int) -> Nanoseconds:
    """The time in which ``count`` bytes just pass, rounded down to ns."""
    return Nanoseconds(count * _BITS * NS_PER_S // bit_rate)


def whole_us_up(time: int) -> Nanoseconds:
    """The time, rounded up to a whole microsecond: offsets of slots are whole ones."""
    return Nanoseconds(-(-time // NS_PER_US) * NS_PER_US)


def whole_us_down(time: int) -> Nanoseconds:
    """The time, rounded down to a whole microsecond."""
    return Nanoseconds(time // NS_PER_US * NS_PER_US)
