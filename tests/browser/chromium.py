"""A Chromium without a window, driven through the two pipes of its DevTools protocol."""

import base64
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWER_S = 120
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # tests run as root in a machine of their own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--mute-audio",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)

Message = dict[str, Any]


class BrowserError(Exception):
    """What Chromium or a script in it answered."""


class Chromium:
    """One process. ``call`` sends a command and waits for its answer; events go to ``heard``."""

    def __init__(self, profile: Path) -> None:
        child_reads, self._write = os.pipe()
        self._read, child_writes = os.pipe()
        flags = " ".join((*_FLAGS, f"--user-data-dir={profile}"))
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec chromium {flags} 3<&{child_reads} 4>&{child_writes}"],
            pass_fds=(child_reads, child_writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_reads)
        os.close(child_writes)
        self._number = 0
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self.heard: list[Message] = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        with os.fdopen(self._read, "rb") as pipe:
            rest = b""
            while chunk := pipe.read1(1 << 16):
                *whole, rest = (rest + chunk).split(b"\0")
                for text in whole:
                    message = json.loads(text)
                    if "id" in message:
                        self._answers.pop(message["id"]).put(message)
                    else:
                        self.heard.append(message)

    def call(self, method: str, *, session: str | None = None, **params: object) -> Message:
        """The result of a command. Raises ``BrowserError``."""
        self._number += 1
        message: Message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        answer = self._answers[self._number] = queue.SimpleQueue()
        os.write(self._write, json.dumps(message).encode() + b"\0")
        try:
            got = answer.get(timeout=ANSWER_S)
        except queue.Empty:
            raise BrowserError(f"{method}: no answer in {ANSWER_S} s") from None
        if "error" in got:
            raise BrowserError(f"{method}: {got['error']['message']}")
        result: Message = got["result"]
        return result

    @contextmanager
    def tab(self, *, width: int = 1280, height: int = 860) -> Iterator["Tab"]:
        """A tab with cookies of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        opened = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, opened["sessionId"])
        tab.resize(width, height)
        try:
            yield tab
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def close(self) -> None:
        """End the process."""
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (BrowserError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        self._reader.join()


_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    " ": (32, " "),
    "PageUp": (33, ""),
    "PageDown": (34, ""),
    "End": (35, ""),
    "Home": (36, ""),
    "ArrowUp": (38, ""),
    "ArrowDown": (40, ""),
}
_SHIFT = 8
_UNTIL = """new Promise((yes, no) => {
  const end = performance.now() + 60000;
  (function look() {
    let found = false;
    try { found = CONDITION; } catch {}
    if (found) yes(true);
    else if (performance.now() > end) no(new Error(document.body.innerText.slice(0, 900)));
    else setTimeout(look, 15);
  })();
})"""


class Tab:
    """One page, as a person with a keyboard and a mouse uses it."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.browser = browser
        self.session = session
        for domain in ("Page", "Runtime", "Network", "Log", "Performance"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> Message:
        return self.browser.call(method, session=self.session, **params)

    def resize(self, width: int, height: int, *, scale: float = 1) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def prefer(self, **features: str) -> None:
        """Media features, such as ``prefers_color_scheme="dark"``."""
        named = [{"name": key.replace("_", "-"), "value": on} for key, on in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401  # whatever the script gives
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(answer["exceptionDetails"]["exception"].get("description", "?"))
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a JavaScript condition holds; a page that is being opened is waited for."""
        try:
            self.evaluate(_UNTIL.replace("CONDITION", condition))
        except BrowserError as error:
            if "context was destroyed" not in str(error) and "navigated" not in str(error):
                raise BrowserError(f"{condition}: {error}") from None
            self.evaluate(_UNTIL.replace("CONDITION", condition))

    def until_text(self, selector: str, text: str) -> None:
        self.until(
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".some((one) => one.innerText.includes({json.dumps(text)}))"
        )

    def text(self, selector: str) -> str:
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def count(self, selector: str) -> int:
        return int(self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def focused(self) -> str:
        """The text of what has the focus."""
        return str(self.evaluate("document.activeElement.innerText"))

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        x, y = self.evaluate(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, *, shift: bool = False) -> None:
        code, text = _KEYS[key]
        name = {" ": "Space"}.get(key, key)
        same = {"key": key, "code": name, "windowsVirtualKeyCode": code}
        modifiers = _SHIFT if shift else 0
        down = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=down, text=text, modifiers=modifiers, **same)
        self.call("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **same)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _heard(self, method: str) -> list[Message]:
        return [
            one["params"]
            for one in list(self.browser.heard)
            if one.get("sessionId") == self.session and one["method"] == method
        ]

    def requested(self) -> list[str]:
        """The addresses of all requests."""
        return [one["request"]["url"] for one in self._heard("Network.requestWillBeSent")]

    def complaints(self) -> list[str]:
        """Uncaught errors, the console's warnings, and what the security policy stopped."""
        thrown = self._heard("Runtime.exceptionThrown")
        said = self._heard("Runtime.consoleAPICalled")
        logged = self._heard("Log.entryAdded")
        return [
            *(str(one["exceptionDetails"]) for one in thrown),
            *(str(one["args"]) for one in said if one["type"] in {"error", "warning", "assert"}),
            *(
                f"{one['entry']['source']}: {one['entry']['text']}"
                for one in logged
                if one["entry"]["level"] in {"error", "warning"}
                and one["entry"]["source"] != "network"  # a 401 is one, and expected
            ),
        ]
