"""Hypothesis profiles: ``dev`` unless HYPOTHESIS_PROFILE names another, such as ``ci``.

Busy machines make examples slow, which is no defect: hence no deadline and no complaint of it.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci", max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
