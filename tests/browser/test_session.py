"""Logging in and out, and what the page says when the server does not answer."""

from tests.browser.chromium import Tab
from tests.browser.page_server import PageServer


def test_a_reader_without_a_session_is_asked_for_a_token_and_told_where_it_comes_from(
    tab: Tab, server: PageServer
) -> None:
    tab.open(server.address)

    tab.until("document.activeElement.id === 'token'")
    assert "kubectl create token" in tab.text(".login")


def test_a_token_that_the_cluster_does_not_know_is_refused_with_the_cause(
    tab: Tab, server: PageServer
) -> None:
    tab.open(server.address)
    tab.until("document.activeElement.id === 'token'")

    tab.type("of another cluster")
    tab.press("Enter")

    tab.until_text("[role=alert]", "the API server does not know this token")
    tab.until("document.activeElement.id === 'token' && document.activeElement.value === ''")


def test_a_reader_with_a_token_sees_the_cluster_and_scripts_never_see_the_session(
    page: Tab, server: PageServer
) -> None:
    assert "edge-1" in page.text(".pane.nodes")
    assert page.text("header .link").startswith("live")
    assert (
        page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
        == "{}"
    )

    page.open(server.address)
    page.until("document.querySelector('.frame[data-phase=live] .card')")


def test_logging_out_leads_back_to_the_login(page: Tab, server: PageServer) -> None:
    page.click("header > button")

    page.until("document.activeElement.id === 'token'")
    page.open(server.address)
    page.until("document.activeElement.id === 'token'")


def test_a_session_that_ends_is_said_so(page: Tab, server: PageServer) -> None:
    server.end_sessions()

    page.until_text(".login [role=alert]", "The session has ended")


def test_a_broken_stream_is_said_loudly_and_comes_back_by_itself(
    page: Tab, server: PageServer
) -> None:
    server.fail()

    page.until_text(".banner.stale [role=alert]", "Not live")
    page.until_text(".banner.stale", "the API server does not answer")
    assert page.text("header .link").startswith("not live")
    assert "edge-1" in page.text(".pane.nodes")

    server.heal()
    page.until("document.querySelector('.frame[data-phase=live]')")
    assert page.count(".banner.stale") == 0


def test_a_person_can_try_at_once(page: Tab, server: PageServer) -> None:
    server.fail()
    page.until_text(".banner.stale", "the API server does not answer")
    server.heal()

    page.click(".banner.stale button")

    page.until("document.querySelector('.frame[data-phase=live]')")
