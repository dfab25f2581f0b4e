"""Drive a headless Chromium over its debugging pipe: JSON messages that end with a zero byte, no library needed.

The protocol is that of chromedevtools.github.io/devtools-protocol. Times in seconds.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

BINARY = "chromium"
PATIENCE = 60.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--remote-debugging-pipe",
)


class BrowserError(Exception):
    """The browser did not do what it was told."""


class Browser:
    """One page of one browser. `console` has what the page wrote as errors or threw, `requests` the addresses that it
    asked for."""

    def __init__(self, width: int = 1400, height: int = 1000) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [
                binary(),
                *FLAGS,
                f"--user-data-dir={self._folder.name}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=lambda: _as_three_and_four(to_browser, from_browser),
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._count = 0
        self._session = ""
        self.console: list[str] = []
        self.requests: list[str] = []
        target = next(
            info["targetId"] for info in self.call("Target.getTargets")["targetInfos"] if info["type"] == "page"
        )
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a report from disk and wait until it is drawn."""
        self.console.clear()
        self.requests.clear()
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{path.resolve().as_uri()}{fragment}")
        self.wait_for("document.body && document.body.dataset.ready === 'yes'")

    def evaluate(self, expression: str) -> Any:
        """The value of a script's expression, a promise's when it is kept."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise BrowserError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = monotonic() + PATIENCE
        while not self.evaluate(expression):
            if monotonic() > end:
                raise BrowserError(f"{expression} did not come true; {self.console}")
            self._read(0.05)

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first element that a selector finds."""
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view; return its middle."""
        found = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            "e.scrollIntoView({block: 'center', inline: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.left + r.width / 2, r.top + r.height / 2]; })()"
        )
        if found is None:
            raise BrowserError(f"there is no {selector}")
        return found[0], found[1]

    def mouse(self, kind: str, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        text = {"Enter": "\r", " ": " "}.get(key)
        code = {"Enter": 13, "Tab": 9, "Escape": 27, " ": 32}.get(key, 0)
        code = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}.get(key, code)
        common: dict[str, Any] = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        common["modifiers"] = 8 if shift else 0
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """Call a method of the protocol; return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = monotonic() + PATIENCE
        while monotonic() < end:
            for answer in self._read(1.0):
                if answer.get("id") == self._count:
                    if "error" in answer:
                        raise BrowserError(f"{method}: {answer['error']}")
                    result: Mapping[str, Any] = answer["result"]
                    return result
        raise BrowserError(f"{method}: no answer")

    def _read(self, patience: float) -> list[dict[str, Any]]:
        """Messages that have arrived; events are noted and left out."""
        if select.select([self._in], [], [], patience)[0]:
            data = os.read(self._in, 1 << 20)
            if not data:
                raise BrowserError("the browser is gone")
            self._buffer += data
        *whole, self._buffer = self._buffer.split(b"\0")
        messages = [json.loads(part) for part in whole]
        for message in messages:
            self._note(message)
        return messages

    def _note(self, message: Mapping[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.console.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.console.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.console.append(str(parameters["entry"]))
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case _:
                pass


def binary() -> str:
    """The browser's program."""
    found = shutil.which(BINARY)
    if found is None:
        raise BrowserError(f"`{BINARY}` is not installed; on Debian: apt install chromium")
    return found


def _as_three_and_four(to_browser: int, from_browser: int) -> None:
    """Give a new process the pipes under the numbers that Chromium expects."""
    high = [os.dup(os.dup(fd)) for fd in (to_browser, from_browser)]
    while min(high) < 5:
        high = [os.dup(fd) for fd in high]
    os.dup2(high[0], 3)
    os.dup2(high[1], 4)
