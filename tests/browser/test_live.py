"""What is shown, and that it follows the cluster."""

from dataclasses import replace

from tests.browser.chromium import Tab
from tests.browser.page_server import PageServer
from tests.browser.scenes import PAINT, plant, pod


def test_a_change_reaches_the_page_by_itself(page: Tab, server: PageServer) -> None:
    before = plant()
    (first, *others) = before.nodes

    server.show(replace(before, nodes=(replace(first, level=9, reduced=8), *others)))

    page.until_text(".nodes [data-key=edge-1] .level", "9")
    assert "lowered by 8" in str(
        page.evaluate("document.querySelector('[data-key=edge-1] .gauge').ariaLabel")
    )


def test_the_level_line_remembers_since_the_page_was_opened(page: Tab, server: PageServer) -> None:
    before = plant()
    (first, *others) = before.nodes
    for level in (12, 16, 9):
        server.show(replace(before, nodes=(replace(first, level=level), *others)))
        page.until_text(".nodes [data-key=edge-1] .level", str(level))

    said = page.evaluate("document.querySelector('[data-key=edge-1] .line').ariaLabel")

    assert said == "level since this page was opened: between 9 and 17, 3 changes"


def test_only_what_changed_is_drawn_again(page: Tab, server: PageServer) -> None:
    before = plant()
    page.evaluate(
        "window.touched = new Set(); new MutationObserver((all) => all.forEach((one) => "
        "touched.add((one.target.closest ?? one.target.parentElement.closest)"
        ".call(one.target.closest ? one.target : one.target.parentElement, '[data-key]')"
        "?.dataset.key))).observe(document.querySelector('main'),"
        " {subtree: true, childList: true, characterData: true, attributes: true})"
    )
    refused = replace(before.pods[-1], state="refused", why="cpu.no-platform on 4 nodes")

    server.show(replace(before, pods=(*before.pods[:-1], refused)))

    page.until_text(".pods", "cpu.no-platform on 4 nodes")
    assert page.evaluate("[...touched]") == [refused.uid]


def test_hazards_suspects_and_silent_daemons_are_on_the_node(page: Tab) -> None:
    assert "hazard: run-queue, kernel-queue" in page.text("[data-key=edge-3]")
    assert "suspect: noisy (throttled)" in page.text("[data-key=edge-3]")
    assert "malacoda silent for 1 min" in page.text("[data-key=office-1]")


def test_a_bar_says_in_words_what_it_shows(page: Tab) -> None:
    said = page.evaluate("document.querySelector('[data-key=edge-1] .bar').ariaLabel")

    assert said.startswith("core 0: 63.2 % of 95.0 % reserved. HI line-1/press-control (main)")
    assert "other namespaces: 15.0 %" in said


def test_each_cycle_of_a_network_shows_the_slots_of_its_phase(page: Tab) -> None:
    cycles = page.evaluate(
        "[...document.querySelectorAll('.cycle .bar')].map((one) => one.innerText.split('\\n'))"
    )

    assert cycles == [
        ["brake", "press-control", "vision", "others"],
        ["brake", "robot-arm", "vision", "others"],
    ]


def test_what_could_not_be_read_is_said(page: Tab, server: PageServer) -> None:
    server.show(replace(plant(), unreadable=("leases: forbidden", "node edge-9: version 7")))

    page.until_text(".banner.unreadable summary", "2 things could not be read")


def test_pods_are_found_by_all_their_words(page: Tab) -> None:
    page.evaluate("document.querySelector('.filter').focus()")
    page.type("paint refused")

    page.until("document.querySelectorAll('.pods .pod').length === 1")
    assert "camera-2" in page.text(".pods .pod")
    assert page.text(".found").startswith("1 of ")


def test_happenings_are_newest_first_and_filtered_by_kind(page: Tab) -> None:
    assert "network" in page.text(".happenings .happening")

    page.evaluate(
        "[...document.querySelectorAll('.chip')]"
        ".find((one) => one.innerText.includes('alarm')).click()"
    )

    page.until("document.querySelectorAll('.happenings .happening').length === 1")
    assert "kernel-queue 5.14" in page.text(".happenings .happening")


def test_a_click_on_a_pod_explains_why_it_does_not_run(page: Tab, server: PageServer) -> None:
    page.click(f".pods [data-key=uid-{PAINT}-camera-2]")

    page.until_text(".panel .explanation", "1 of 4 nodes fits")
    assert f"/v1/namespaces/{PAINT}/pods/camera-2/explanation" in server.asked
    text = page.text(".panel")
    assert "cpu.no-bandwidth" in text
    assert "assurance.hazard" in text
    page.evaluate("document.querySelectorAll('.group').forEach((one) => { one.open = true; })")
    text = page.text(".panel")
    assert "without line-1/vision" in text
    assert "a pod of another namespace" in text
    assert "score 7 of 10" in text


def test_a_pod_that_runs_tells_its_story(page: Tab) -> None:
    page.click(".pods [data-key=uid-line-1-press-control]")

    page.until_text(".panel .story", "the kernel enforces its budget")
    assert "16.666ms" in page.text(".panel .story")
    assert "bound to edge-1" in page.text(".panel .chain")


def test_an_open_explanation_is_asked_again_when_its_pod_changes(
    page: Tab, server: PageServer
) -> None:
    page.click(f".pods [data-key=uid-{PAINT}-camera-2]")
    page.until_text(".panel .explanation", "1 of 4 nodes fits")
    before = plant()
    changed = tuple(
        replace(one, why="another cause") if one.name == "camera-2" else one for one in before.pods
    )

    server.show(replace(before, pods=changed))

    page.until_text(".panel .facts", "another cause")
    page.until(
        "performance.getEntriesByType('resource')"
        ".filter((one) => one.name.endsWith('/explanation')).length === 2"
    )


def test_a_node_shows_all_its_servers_as_a_table(page: Tab) -> None:
    page.click(".nodes [data-key=edge-1] .name")

    page.until("document.querySelector('.panel table.servers')")
    assert page.count(".panel table.servers tbody tr") == 6 + 4
    assert "4.02 ms" in page.text(".panel table.servers")


def test_text_from_the_cluster_is_text_and_nothing_else(page: Tab, server: PageServer) -> None:
    bad = pod("default", "x", "LOW", state="refused", why="<img src=x onerror=alert(1)>")

    server.show(replace(plant(), pods=(bad,)))

    page.until_text(".pods", "<img src=x onerror=alert(1)>")
    assert page.count(".pods img") == 0
