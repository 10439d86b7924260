"""Each file has a control plane of its own, and they run side by side: those that take long first.

They wait most of their time. Nothing of theirs counts against the machine or another control plane.
"""

from pathlib import Path

import pytest

_LONG = ("test_scheduler_contract.py", "test_crowded_nodes.py")
_PATIENCE = 3
"""A test's timeout is what it takes at most on a machine at rest; others are slower."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort them; the others stay as they were collected."""
    here = Path(__file__).parent
    for item in (item for item in items if item.path.parent == here):
        for marker in list(item.iter_markers("timeout"))[:1]:
            longer = pytest.mark.timeout(_PATIENCE * marker.args[0])
            item.add_marker(longer, append=False)
    items.sort(key=lambda item: item.path.parent == here and item.path.name not in _LONG)
