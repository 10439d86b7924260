"""200 nodes with 20 pods each: what exists in the page, and what an update costs."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.browser.chromium import Chromium, Tab
from tests.browser.conftest import log_in
from tests.browser.page_server import PageServer
from tests.browser.scenes import fleet, told

ELEMENTS = 1800
"""Of the whole page, however large the cluster is."""

_COUNT_CHANGES = """window.touched = 0;
new MutationObserver((all) => { touched += all.length; }).observe(document.querySelector("main"),
  { subtree: true, childList: true, characterData: true, attributes: true });"""


@pytest.fixture
def server() -> Iterator[PageServer]:
    one = PageServer(fleet(), told)
    yield one
    one.close()


def _milliseconds(page: Tab, name: str) -> float:
    metrics = page.call("Performance.getMetrics")["metrics"]
    return float(1000 * next(one["value"] for one in metrics if one["name"] == name))


def test_only_what_is_in_sight_exists(page: Tab) -> None:
    assert page.text(".found") == "4,000 pods"
    assert page.count("*") < ELEMENTS

    for _ in range(5):
        page.evaluate(
            "document.querySelectorAll('.scroll').forEach((one) => one.scrollBy(0, 9000))"
        )
        page.until("document.querySelectorAll('.pods .pod').length > 5")
    assert page.count("*") < ELEMENTS


def test_a_fleet_is_read_to_its_end_by_keyboard(page: Tab) -> None:
    page.evaluate("document.querySelector('.pods [data-open]').focus()")

    page.press("End")

    page.until_text(":focus", "team-6/pod-199-13")
    assert page.evaluate("document.activeElement.closest('.row').ariaPosInSet") == "4000"


def test_an_update_of_one_pod_of_4000_touches_its_row_alone(page: Tab, server: PageServer) -> None:
    before = fleet()
    spent = _milliseconds(page, "ScriptDuration")
    page.evaluate(_COUNT_CHANGES)
    for number in range(10):
        changed = replace(before.pods[0], state="throttled", why=f"for the {number + 1}. time")
        server.show(replace(before, pods=(changed, *before.pods[1:])))
        page.until_text(".pods", f"for the {number + 1}. time")

    assert page.evaluate("touched") <= 10 * 8
    each = (_milliseconds(page, "ScriptDuration") - spent) / 10
    print(f"script per update of 4,000 pods: {each:.0f} ms")  # noqa: T201  # a figure, not a law


def test_the_first_paint_needs_few_small_files(tab: Tab, server: PageServer) -> None:
    log_in(tab, server)
    tab.open(server.address)
    tab.until("document.querySelector('.frame[data-phase=live] .card')")

    bytes_of_files = tab.evaluate(
        "performance.getEntriesByType('resource').filter((one) => one.name.includes('/static/'))"
        ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )
    paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    card = tab.evaluate("performance.now()")

    assert bytes_of_files < 120_000
    print(f"first paint {paint:.0f} ms, the cluster {card:.0f} ms, files {bytes_of_files} bytes")  # noqa: T201


@pytest.mark.usefixtures("page")
def test_every_tab_of_a_browser_reads_by_one_stream(chromium: Chromium, server: PageServer) -> None:
    assert server.streams == 1
    with chromium.tab() as other:
        log_in(other, server)
    assert server.streams == 2
