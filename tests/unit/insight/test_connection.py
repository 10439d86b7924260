"""The page's one stream: how often it is opened, and what of it stays open. Driven by Node.js."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "insight/page"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")

_FAKE = """
let open = 0;
let calls = 0;
const tell = (value) => console.log(JSON.stringify(value));
const waiting = (signal) => new Promise((_, reject) => {
  open += 1;
  signal.addEventListener("abort", () => { open -= 1; reject(new Error("ended")); });
});
const text = (data) => new TextEncoder().encode(`event: overview\\ndata: ${data}\\n\\n`);
"""


def run(script: str) -> dict[str, Any]:
    """What the script tells; ``connection.js`` is imported in it."""
    words = f'{_FAKE}import {{ Connection }} from "{PAGE / "connection.js"}";{script}'
    command = [str(NODE), "--no-warnings", "--input-type=module", "--eval", words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_who_asks_again_and_again_has_one_stream() -> None:
    told = run("""
        globalThis.fetch = (_, { signal }) => { calls += 1; return waiting(signal); };
        const broken = [];
        const note = (cause) => broken.push(cause);
        const one = new Connection({ overview() {}, refused() {}, broken: note });
        one.hurry(); one.hurry(); one.hurry();
        await new Promise(setImmediate);
        const held = open;
        one.close();
        tell({ calls, held, left: open, broken });
    """)

    assert told == {"calls": 4, "held": 1, "left": 0, "broken": []}


@pytest.mark.parametrize("data", ["{", "{}"])
def test_an_overview_that_is_none_is_told_as_such_and_pauses_grow(data: str) -> None:
    told = run(
        """
        globalThis.fetch = async (_, { signal }) => {
          const body = new ReadableStream({ start: (to) => to.enqueue(text('DATA')) });
          return { ok: true, body };
        };
        console.error = () => {};
        const heard = [];
        const one = new Connection({
          overview: (value) => value.nodes.length,
          refused() {},
          broken: (cause, pause) => {
            heard.push([cause, pause]);
            if (heard.length < 3) return queueMicrotask(() => one.hurry());
            setImmediate(() => { one.close(); tell({ heard }); });
          },
        });
    """.replace("DATA", data)
    )

    cause = "the server sent what this page does not understand"
    assert told["heard"] == [[cause, 500], [cause, 1000], [cause, 2000]]
