"""A world for each test, with a page of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.insight.world import World


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html><title>k40s</title>")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "page.js").write_text("export const turn = 1;\n" * 50)
    (tmp_path / "lib" / "secret.pem").write_text("key")
    return tmp_path


@pytest.fixture
def world(page: Path) -> Iterator[World]:
    made = World(page)
    made.start()
    yield made
    made.close()
