"""Everything without a mouse, and for readers of screens."""

from pathlib import Path

from tests.browser.chromium import Tab

_SCRIPTS = Path(__file__).parent / "scripts"
_NAMELESS = (_SCRIPTS / "nameless.js").read_text()
_CONTRAST = (_SCRIPTS / "contrast.js").read_text()
_FOCUSED = """(() => {
  const one = document.activeElement;
  const part = one.closest("section, header")?.className ?? "";
  return `${part} ${one.dataset.open === undefined ? one.tagName : "list"}`;
})()"""


def _tab_to(page: Tab, condition: str) -> None:
    for _ in range(40):
        page.press("Tab")
        if page.evaluate(f"Boolean({condition})"):
            return
    raise AssertionError(f"Tab never reached {condition}")


def test_tab_reaches_each_list_once_and_shows_where_it_is(page: Tab) -> None:
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(40):
        page.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        seen.append(page.evaluate(_FOCUSED))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    for part in ("nodes", "pods", "happenings"):
        assert seen.count(f"pane {part} list") == 1
    assert "pane pods INPUT" in seen
    assert "pane happenings BUTTON" in seen
    assert "pane networks SUMMARY" in seen


def test_arrow_keys_walk_through_pods_and_enter_explains(page: Tab) -> None:
    _tab_to(page, "document.activeElement.closest('.pods [data-open]')")
    first = page.focused()

    page.press("ArrowDown")
    page.press("ArrowDown")
    page.until(f"document.activeElement.innerText !== {first!r}")
    page.press("End")
    page.until_text(":focus", "noisy")
    page.press("Home")
    page.until_text(":focus", first)
    page.press("Enter")

    page.until("document.activeElement.id === 'panel-title'")
    assert page.focused() == first


def test_escape_closes_the_panel_and_leads_back_to_where_it_was_opened(page: Tab) -> None:
    _tab_to(page, "document.activeElement.closest('.nodes [data-open]')")
    page.press("ArrowDown")
    page.until_text(":focus", "edge-2")
    page.press("Enter")
    page.until("document.activeElement.id === 'panel-title'")

    page.press("Escape")

    page.until("!document.querySelector('.panel')")
    assert page.focused() == "edge-2"


def test_a_pod_on_a_bar_is_reached_through_its_node(page: Tab) -> None:
    _tab_to(page, "document.activeElement.closest('.nodes [data-open]')")
    page.press("Enter")
    page.until("document.activeElement.id === 'panel-title'")

    _tab_to(page, "document.activeElement.closest('.panel table.servers')")
    page.press("Enter")

    page.until_text("#panel-title", "line-1/press-control")


def test_each_control_and_picture_has_a_name(page: Tab) -> None:
    assert page.evaluate(_NAMELESS) == []
    page.click(".pods [data-key=uid-paint-camera-2]")
    page.until("document.querySelector('.panel .explanation')")
    assert page.evaluate(_NAMELESS) == []


def test_text_stands_out_from_its_ground_by_day_and_by_night(page: Tab) -> None:
    for scheme in ("light", "dark"):
        page.prefer(prefers_color_scheme=scheme)
        page.until("true")
        assert page.evaluate(_CONTRAST) == [], scheme


def test_criticalities_differ_without_colours(page: Tab) -> None:
    letters = page.evaluate(
        "[...document.querySelectorAll('[data-key=edge-1] .segment b')].map((one) => one.innerText)"
    )
    patterns = page.evaluate(
        "['hi', 'low', 'no'].map((one) => document.querySelector('.mark.' + one))"
        ".map((one) => getComputedStyle(one).backgroundImage)"
    )

    assert letters == ["H", "L", "·", "H", "L", "L"]
    assert len(set(patterns)) == 3


def test_nothing_moves_for_who_asks_for_less_motion(page: Tab) -> None:
    page.prefer(prefers_reduced_motion="reduce")
    page.click(".pods [data-key=uid-paint-camera-2]")
    page.until("document.querySelector('.panel')")

    assert page.evaluate("document.getAnimations().length") == 0
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.panel')).animationName") == "none"
    )
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.segment')).transitionDuration")
        == "0s"
    )
