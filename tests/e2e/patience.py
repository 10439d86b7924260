"""How long tests on a real cluster wait: limits here are nets against hangs, no measure of speed.

Each test says how long the thing takes at most on a machine at rest. A shared one may be a third as
fast, and stand still for seconds.
"""

from collections.abc import Callable

from demo.observer import wait_until as wait_in_the_demo

PATIENCE = 3


def wait_until(what: str, condition: Callable[[], object], *, seconds: float) -> None:
    """Poll until a condition is true; ``WaitTimeoutError`` names what never came."""
    wait_in_the_demo(what, condition, seconds=seconds * PATIENCE)
