"""A profile: the rules by which hazards are detected on one kind of kernel, as a file.

Calibration writes it, an operator reads it, a ConfigMap distributes it. JSON, for example::

    {"v": 1, "name": "edge-6.18",
     "made": {"kernel": "6.18.44", "machine": "2 CPUs", "by": "k40s calibrate assurance",
              "at": "2026-11-29T08:00:00Z"},
     "period": "500ms",
     "rules": [{"metric": "cpu-system", "raise": 0.5, "clear": 0.3, "trend": 0.15,
                "change": {"reference": 0.45, "decision": 0.3},
                "votes": 6, "window": 8, "hold": "5s", "harms": ["real-time", "ordinary"],
                "note": "kernel code that cannot be preempted",
                "evidence": {"precision": 0.97, "recall": 0.93, "windows": 60}}]}
"""

from k40s.assurance.profile.text import (
    LONGEST_PERIOD,
    PROFILE_NAME,
    PROFILE_NAME_FORM,
    SHORTEST_PERIOD,
    format_profile,
    parse_profile,
)
from k40s.assurance.profile.values import BUILT_IN, Evidence, Origin, Profile, ProfileRule

__all__ = [
    "BUILT_IN",
    "LONGEST_PERIOD",
    "PROFILE_NAME",
    "PROFILE_NAME_FORM",
    "SHORTEST_PERIOD",
    "Evidence",
    "Origin",
    "Profile",
    "ProfileRule",
    "format_profile",
    "parse_profile",
]
