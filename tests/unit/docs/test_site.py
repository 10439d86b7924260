"""The site: it builds without a broken link, and a reader's browser asks no other host."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.fixtures.documents import DOCS, pages

LOADS = {
    *(("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")),
    *(("object", "data"), ("form", "action"), ("video", "src"), ("use", "href"), ("base", "href")),
}
"""What a browser fetches, or sends to, without being asked by a click on a link."""
LINKED_HOSTS = {"kubernetes.io"}
"""Where a link may lead: hosts that exist, and that a reader goes to by a click."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.classes: set[str] = set()
        self.styles = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (tag, name) in LOADS:
                self.loaded.append(value or "")
            if (tag, name) == ("a", "href"):
                self.links.append(value or "")
            if name == "class":
                self.classes.update((value or "").split())
            if name == "style":
                self.styles += value or ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", target],
        cwd=DOCS.parent,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def read(site: Path) -> dict[str, _Page]:
    """The site's pages by their file."""
    found: dict[str, _Page] = {}
    for path in sorted(site.rglob("*.html")):
        page = found[str(path.relative_to(site))] = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    return found


def foreign(address: str) -> bool:
    return re.match(r"(?:[a-z]+:)?//", address.strip(), re.IGNORECASE) is not None


def test_nothing_is_loaded_from_another_host(read: dict[str, _Page]) -> None:
    loaded = {(name, one) for name, page in read.items() for one in page.loaded if foreign(one)}

    assert loaded == set()


def test_styles_and_pictures_name_no_address_of_another_host(
    site: Path, read: dict[str, _Page]
) -> None:
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    pictures = [path.read_text(encoding="utf-8") for path in site.rglob("*.svg")]
    text = "\n".join(styles + pictures + [page.styles for page in read.values()])

    assert (
        re.findall(r"""(?:url\(|@import|\bsrc=|\bhref=)\s*["']?(?:https?:)?//[^)\s]*""", text) == []
    )


def test_no_page_makes_the_themes_script_fetch_mermaid(read: dict[str, _Page]) -> None:
    assert [name for name, page in read.items() if "mermaid" in page.classes] == []


def test_links_lead_to_hosts_that_exist(read: dict[str, _Page]) -> None:
    links = {one for page in read.values() for one in page.links if foreign(one)}
    hosts = {re.sub(r"^[a-z]*:?//([^/]*).*", r"\1", one) for one in links}

    assert hosts <= LINKED_HOSTS


def test_search_finds_every_page_without_a_server(site: Path) -> None:
    script = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    entries = json.loads(script.removeprefix("var __index = "))["docs"]
    found = {entry["location"].partition("#")[0] for entry in entries}

    for page in pages():
        if page.parent == DOCS:
            assert f"{page.stem}.html" in found


def test_a_list_is_a_list_where_no_blank_line_precedes_it(site: Path) -> None:
    text = (site / "network-backends.html").read_text(encoding="utf-8")

    assert re.search(r"<li>The largest slot id cannot be read", text)
