"""Pictures of the page. ``make screenshots`` writes them into docs/images."""

import os
from pathlib import Path

import pytest

from tests.browser.chromium import Tab
from tests.browser.conftest import log_in
from tests.browser.page_server import PageServer
from tests.browser.scenes import plant, with_levels

LARGEST = 300_000
_WRITE = os.environ.get("K40S_SCREENSHOTS") == "1"


def _keep(page: Tab, folder: Path, name: str) -> None:
    page.evaluate(
        "document.fonts.ready.then(() => new Promise(requestAnimationFrame)).then(() => 0)"
    )
    picture = page.picture()
    assert 10_000 < len(picture) < LARGEST
    if _WRITE:
        (folder / f"page-{name}.png").write_bytes(picture)


_CLOCK = """(() => {
  const real = performance.now.bind(performance);
  window.later = 0;
  performance.now = () => real() + window.later;
})()"""
"""Lets minutes pass between two overviews, as the page's clock has it."""


@pytest.fixture
def still(tab: Tab, server: PageServer) -> Tab:
    """The plant, with levels that have changed since the page was opened."""
    tab.prefer(prefers_reduced_motion="reduce", prefers_color_scheme="light")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=_CLOCK)
    now = plant()
    server.show(with_levels(now, 16, 15, 15, 12))
    log_in(tab, server)
    for minutes, overview in ((4, with_levels(now, 17, 12, 16, 12)), (9, now)):
        tab.evaluate(f"window.later += {minutes * 60_000}")
        server.show(overview)
        level = overview.nodes[0].level, overview.nodes[1].level
        tab.until(
            "[...document.querySelectorAll('.card .number')].slice(0, 2)"
            f".map((one) => one.innerText).join() === '{level[0]},{level[1]}'"
        )
    return tab


def test_the_page_by_day_and_by_night(still: Tab, pictures: Path) -> None:
    still.resize(1360, 860)
    _keep(still, pictures, "overview")
    still.prefer(prefers_reduced_motion="reduce", prefers_color_scheme="dark")
    _keep(still, pictures, "dark")


def test_a_pod_explained(still: Tab, pictures: Path) -> None:
    still.resize(1360, 860)
    still.click(".pods [data-key=uid-paint-camera-2]")
    still.until("document.querySelector('.panel .explanation')")
    still.evaluate(
        "[...document.querySelectorAll('.group')].slice(0, 2)"
        ".forEach((one) => { one.open = true; })"
    )
    _keep(still, pictures, "explained")


def test_a_node_in_full(still: Tab, pictures: Path) -> None:
    still.resize(1360, 860)
    still.click(".nodes [data-key=edge-1] .name")
    still.until("document.querySelector('.panel table')")
    _keep(still, pictures, "node")


def test_the_page_on_a_phone(still: Tab, pictures: Path) -> None:
    still.resize(390, 780, scale=1.5)
    still.until("getComputedStyle(document.querySelector('.tabs')).display === 'flex'")
    assert still.evaluate("document.documentElement.scrollWidth <= innerWidth")
    _keep(still, pictures, "phone")
    for number, section in ((2, "pods"), (3, "networks"), (4, "happenings")):
        still.click(f".tabs button:nth-child({number})")
        still.until(f"document.querySelector('.pane.{section}').checkVisibility()")
        assert still.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_login(tab: Tab, server: PageServer, pictures: Path) -> None:
    tab.prefer(prefers_color_scheme="light")
    tab.resize(800, 560)
    tab.open(server.address)
    tab.until("document.activeElement.id === 'token'")
    _keep(tab, pictures, "login")
