"""How many product files a reader has to follow for one call."""

import pytest

from bench.files_entered import CALLS, ROOT, VALUES, Measured, files_entered


@pytest.mark.parametrize("measured", CALLS, ids=[one.what for one in CALLS])
def test_a_call_enters_few_files(measured: Measured) -> None:
    files = files_entered(measured)

    assert len(files) <= measured.most, files


def test_the_files_that_are_not_counted_exist() -> None:
    assert all((ROOT / name).is_file() for name in VALUES)
