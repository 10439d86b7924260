"""What `make site` makes of a document that is also read as a file in the repository.

The documents are written for any reader of Markdown. The site's parser differs in four things,
put right here on text alone: lists need a blank line before them and four columns a level, a pipe
in code needs no backslash in a table, a link to a file outside docs/ becomes the file's name, and a
diagram the picture that was drawn from it.
"""

import hashlib
import re
from pathlib import Path
from posixpath import normpath
from typing import Protocol

DIAGRAMS = "images/diagrams"
_FENCE = re.compile(r"\s*(```+|~~~+)")
_ITEM = re.compile(r"(\s*)([-*+]|\d+[.)]) +")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class _File(Protocol):
    src_uri: str


class _Page(Protocol):
    file: _File


def on_page_markdown(markdown: str, *, page: _Page, **_context: object) -> str:
    """The page's Markdown as the site's parser has to read it; mkdocs calls this by its name."""
    uri = page.file.src_uri
    text = diagrams_as_pictures(markdown, depth=uri.count("/"))
    text = lists_by_four_columns(text)
    text = pipes_in_code(text)
    return links_within_the_site(text, uri=uri)


def diagram_name(source: str) -> str:
    """The file of a diagram's picture: it changes with the diagram, so none can be outdated."""
    return f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def diagrams(markdown: str) -> list[str]:
    """The Mermaid sources of a page."""
    return _MERMAID.findall(markdown)


def diagrams_as_pictures(markdown: str, *, depth: int) -> str:
    """Each diagram replaced by its picture, which `make diagrams` draws; a click shows it alone."""

    def picture(match: re.Match[str]) -> str:
        file = f"{'../' * depth}{DIAGRAMS}/{diagram_name(match[1])}"
        return f"[![Diagram]({file})]({file})"

    return _MERMAID.sub(picture, markdown)


def lists_by_four_columns(markdown: str) -> str:
    """Lists with a blank line before them, each level indented by four columns."""
    lines: list[str] = []
    columns: list[int] = []  # where the text of each open list item begins
    fence = ""
    for line in markdown.split("\n"):
        marker = _FENCE.match(line)
        if not fence and not marker:
            item = _ITEM.match(line)
            if item:
                _before_list(lines)
            _close_items(columns, line, after_blank=not lines or not lines[-1].strip())
            lines.append(_indented(line, columns))
            if item:
                columns.append(len(item[0]))
            continue
        if not fence:
            _close_items(columns, line, after_blank=True)
        lines.append(_indented(line, columns))
        if marker and not fence:
            fence = marker[1]
        elif marker and line.strip() == fence:
            fence = ""
    return "\n".join(lines)


def _before_list(lines: list[str]) -> None:
    """A blank line, unless there is one or the item follows another item's own lines."""
    begin = len(lines)
    while begin and lines[begin - 1].strip():
        begin -= 1
    if begin < len(lines) and not _ITEM.match(lines[begin]):
        lines.append("")


def _close_items(columns: list[int], line: str, *, after_blank: bool) -> None:
    """Forget the items that this line is no longer part of."""
    if not line.strip():
        return
    column = len(line) - len(line.lstrip())
    continues = not after_blank and not _ITEM.match(line)
    while columns and column < columns[-1] and not (continues and not line.startswith("#")):
        columns.pop()


def _indented(line: str, columns: list[int]) -> str:
    if not columns or not line.strip():
        return line
    rest = line[columns[-1] :] if not line[: columns[-1]].strip() else line.lstrip()
    return " " * 4 * len(columns) + rest


def pipes_in_code(markdown: str) -> str:
    r"""Code in table cells without the backslash of ``\|``, which the site's parser would show."""

    def plain(line: str) -> str:
        if not line.lstrip().startswith("|"):
            return line
        return re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), line)

    return "\n".join(map(plain, markdown.split("\n")))


def links_within_the_site(markdown: str, *, uri: str) -> str:
    """Links to files outside docs/ as the files' names, links to folders as their first page.

    Raises:
        FileNotFoundError: a link names a file that the repository does not have.
    """
    here = Path("docs") / Path(uri).parent

    def resolved(match: re.Match[str]) -> str:
        label, target = match[1], match[2]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, _, anchor = target.partition("#")
        file = normpath((here / path).as_posix())
        if not file.startswith("docs/"):
            return _file_name(label, file)
        if (Path(file)).is_dir():
            return f"[{label}]({path.rstrip('/')}/README.md{'#' + anchor if anchor else ''})"
        return match[0]

    return _LINK.sub(resolved, markdown)


def _file_name(label: str, file: str) -> str:
    if not Path(file).exists():
        raise FileNotFoundError(f"a link names {file}, which is not in the repository")
    return f"`{file}`" if label.strip("`") in file else f"{label} (`{file}`)"
