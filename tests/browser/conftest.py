"""One Chromium for all tests; a server, a tab and a reader who has logged in for each."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium, Tab
from tests.browser.page_server import TOKEN, PageServer
from tests.browser.scenes import plant, told


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed: make packages")
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def server() -> Iterator[PageServer]:
    one = PageServer(plant(), told)
    yield one
    one.close()


@pytest.fixture
def tab(chromium: Chromium, server: PageServer) -> Iterator[Tab]:
    """Each test ends with a look at what the page complained of, and whom it asked."""
    with chromium.tab() as one:
        yield one
        assert one.complaints() == []
        assert [url for url in one.requested() if not url.startswith(server.address)] == []


def log_in(tab: Tab, server: PageServer) -> None:
    """Open the page, hand in the token as a person does, wait for the first overview."""
    tab.open(server.address)
    tab.until("document.activeElement.id === 'token'")
    tab.type(TOKEN)
    tab.press("Enter")
    tab.until("document.querySelector('.frame[data-phase=live] .card')")


@pytest.fixture
def page(tab: Tab, server: PageServer) -> Tab:
    log_in(tab, server)
    return tab


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where pictures for the documents go."""
    return Path(__file__).parents[2] / "docs/images"
