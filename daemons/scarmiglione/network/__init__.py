"""Back ends: how a station keeps slots. RTnet by command or ioctl, taprio on stock Linux, or none.

``back_end`` is the protocol. ``preconditions`` and ``gate_schedule`` are pure: what must hold
before a station's kernel is told anything, since RTnet itself checks almost nothing.
"""
