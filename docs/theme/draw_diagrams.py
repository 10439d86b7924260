"""Draw the documents' diagrams as pictures: `make diagrams`, where one was changed.

The renderer is a package of npm's that needs no browser. Its pictures are made plain here: colours
in place of style variables, and no address of a font. A picture that nothing needs is removed.
"""

import json
import re
import shutil
import subprocess  # noqa: TID251  # drives Node.js
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hooks import DIAGRAMS, diagram_name, diagrams

_DOCS = Path(__file__).parents[1]
_PROGRAM = """
import {renderMermaidSVG as draw} from "beautiful-mermaid";
import {readFileSync} from "node:fs";
const sources = Object.entries(JSON.parse(readFileSync(0, "utf8")));
console.log(JSON.stringify(Object.fromEntries(sources.map(([name, text]) => [name, draw(text)]))));
"""
_COLOURS = {
    "bg": "#ffffff",
    "_text": "#27272a",
    "_text-sec": "#52525b",
    "_text-muted": "#52525b",
    "_text-faint": "#a1a1aa",
    "_line": "#71717a",
    "_arrow": "#3f3f46",
    "_node-fill": "#f4f4f5",
    "_node-stroke": "#a1a1aa",
    "_group-fill": "#ffffff",
    "_group-hdr": "#e4e4e7",
    "_inner-stroke": "#d4d4d8",
    "_key-badge": "#e4e4e7",
}
_STYLE = "<style>text { font-family: sans-serif; }</style>"


def main(packages: Path) -> None:
    """Draw all diagrams of docs/; ``packages`` is where npm has installed the renderer."""
    sources = {
        diagram_name(source): source
        for page in _DOCS.rglob("*.md")
        for source in diagrams(page.read_text(encoding="utf-8"))
    }
    target = _DOCS / DIAGRAMS
    target.mkdir(parents=True, exist_ok=True)
    for name, svg in _draw(sources, packages=packages).items():
        (target / name).write_text(plain(svg), encoding="utf-8")
    for old in target.glob("*.svg"):
        if old.name not in sources:
            old.unlink()


def plain(svg: str) -> str:
    """The picture without style variables and without what a browser would fetch."""
    text = re.sub(r"<style>.*?</style>", _STYLE, svg, count=1, flags=re.DOTALL)
    text = re.sub(r'style="--bg:[^"]*"', 'style="background:#ffffff"', text, count=1)
    text = re.sub(r' data-[\w-]+="[^"]*"', "", text)
    text = re.sub(r"(\d+\.\d{2})\d+", r"\1", text)
    return re.sub(r"var\(--([\w-]+)\)", lambda name: _COLOURS[name[1]], text).strip() + "\n"


def _draw(sources: dict[str, str], *, packages: Path) -> dict[str, str]:
    node = shutil.which("node") or sys.exit("Node.js is missing: apt-get install nodejs npm")
    program = packages / "draw.mjs"
    program.write_text(_PROGRAM, encoding="utf-8")
    done = subprocess.run(  # noqa: S603  # the program found above
        [node, program],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    drawn: dict[str, str] = json.loads(done.stdout)
    return drawn


if __name__ == "__main__":
    main(Path(sys.argv[1]))
