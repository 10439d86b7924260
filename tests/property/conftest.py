"""Hypothesis profiles: ``suite`` unless HYPOTHESIS_PROFILE names another, such as ``search``.

``suite`` looks at the same examples each time, so that a run tells of the change and not of luck;
``search`` looks at others each time, and at more.

Busy machines make examples slow, which is no defect: hence no deadline and no complaint of it.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search", max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
