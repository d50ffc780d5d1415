"""Pages in headless Chromium, by the DevTools protocol over a pipe: no driver and no package is needed.

    with Browser() as browser:
        page = browser.open(path)
        page.run("document.title")
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REMEDY = "no Chromium: apt install chromium, or name one in UPSTROKE_CHROMIUM"
PATIENCE = 60
#: Chromium reads commands from 3 and answers on 4.
LAUNCH = "import os, sys; a, b, *c = sys.argv[1:]; os.dup2(int(a), 3); os.dup2(int(b), 4); os.execvp(c[0], c)"


def find_chromium():
    """The program, or None."""
    return next(filter(None, map(shutil.which, (os.environ.get("UPSTROKE_CHROMIUM", ""), *NAMES))), None)


class Browser:
    """A Chromium without a window. ``said`` is what pages write to the console, errors included."""

    def __init__(self, width=1280, height=900, dark=False):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        inner_read, self._write = os.pipe()
        self._read, inner_write = os.pipe()
        command = [find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--remote-debugging-pipe", f"--user-data-dir={self._folder.name}", "--no-first-run"]
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (inner_read, inner_write)]
        self._process = subprocess.Popen([sys.executable, "-c", LAUNCH, *map(str, ends), *command], pass_fds=ends,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (inner_read, inner_write, *ends):
            os.close(end)
        self._bytes, self._number, self._session = b"", 0, None
        self.said = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def call(self, method, **parameters):
        """A command of the protocol, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _next(self):
        while b"\0" not in self._bytes:
            assert select.select([self._read], [], [], PATIENCE)[0], "Chromium does not answer"
            more = os.read(self._read, 1 << 20)
            assert more, "Chromium has gone"
            self._bytes += more
        line, self._bytes = self._bytes.split(b"\0", 1)
        message = json.loads(line)
        details = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.said.append(details["exceptionDetails"]["exception"].get("description", ""))
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.said.append(str(details["args"]))
        elif message.get("method") == "Log.entryAdded":
            self.said.append(details["entry"]["text"])
        return message

    def open(self, path, ending=""):
        """Load a file, as a double click does; ``ending`` comes after its address."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=Path(path).resolve().as_uri() + ending)
        self.until("document.readyState == 'complete' && location.protocol == 'file:'")
        self.settle()

    def run(self, program):
        """The value of an expression of the page; of a promise when it is kept."""
        result = self.call("Runtime.evaluate", expression=program, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, program):
        """Wait for an expression to become true."""
        end = time.monotonic() + PATIENCE
        while not self.run(program):
            assert time.monotonic() < end, f"never: {program}"
            time.sleep(0.02)

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")

    def mouse(self, kind, x, y, **more):
        """mousePressed, mouseMoved, mouseReleased or mouseWheel."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def picture(self, path):
        """A PNG file of what is seen."""
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._folder.cleanup()
