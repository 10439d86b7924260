"""The files of the live page: whole, from here alone, and what is vendored is what it says."""

import hashlib
import re
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[2] / "insight/page"
_VENDOR = _PAGE / "vendor"
_ROW = re.compile(
    r"\| (\S+\.js) \| (\S+) \| ([\d.]+) \| \S+ \| (\S+) \(\[text\]\((\S+)\)\) \| (\S+) \|"
)
_IMPORT = re.compile(r'^import [^"]*"([^"]+)";', re.MULTILINE)
_OURS = sorted(path for path in _PAGE.rglob("*.js") if path.parent != _VENDOR)


def _rows() -> list[tuple[str, ...]]:
    return _ROW.findall((_VENDOR / "NOTICE.md").read_text())


def test_each_vendored_library_is_noticed_with_its_licence() -> None:
    files = {path.name for path in _VENDOR.iterdir()}

    assert {row[0] for row in _rows()} == {name for name in files if name.endswith(".js")}
    for name, package, _, licence, text, _ in _rows():
        assert name == f"{package}.js"
        assert {"MIT": "MIT License", "Apache-2.0": "Apache License"}[licence] in (
            _VENDOR / text
        ).read_text()


def test_each_vendored_library_is_as_it_was_published() -> None:
    for name, *_, digest in _rows():
        assert hashlib.sha256((_VENDOR / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("path", _OURS, ids=lambda path: path.name)
def test_each_module_imports_files_that_exist_and_is_short(path: Path) -> None:
    text = path.read_text()

    for target in _IMPORT.findall(text):
        assert target.startswith("."), f"{target} is no file of the page"
        assert (path.parent / target).is_file()
    assert len(text.splitlines()) < 250
    assert "eval(" not in text
    assert "innerHTML" not in text


def test_the_document_has_neither_scripts_nor_styles_of_its_own() -> None:
    text = (_PAGE / "index.html").read_text()

    assert re.findall(r"<style|style=|<script(?! type=\"module\" src=)| on\w+=", text) == []
    for target in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert (_PAGE / target.removeprefix("static/")).is_file()


def test_all_modules_are_asked_for_at_once() -> None:
    text = (_PAGE / "index.html").read_text()
    modules = {path.relative_to(_PAGE).as_posix() for path in _PAGE.rglob("*.js")}

    named = re.findall(r'rel="modulepreload" href="static/([^"]+)"', text)

    assert sorted(named) == sorted(modules - {"main.js"})


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in (*_OURS, *_PAGE.glob("*.css"), _PAGE / "index.html"):
        assert re.findall(r"(?:https?:)?//\w[\w.]*\.\w+/", path.read_text()) == [], path
