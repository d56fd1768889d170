"""Debian's Firefox driven over WebDriver BiDi (W3C draft), without a driver program: what one test needs of it."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "services.settings.server": "http://127.0.0.1:9",
}
START_S = 60.0


class Tab:
    """One tab: navigate, evaluate JavaScript, wait for it to be true."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self.context = context

    def goto(self, url: str) -> None:
        self._firefox.call(
            "browsingContext.navigate", {"context": self.context, "url": url, "wait": "complete"}
        )

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression (awaited), which must be JSON. Raises AssertionError when it throws."""
        text = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        result = self._firefox.call(
            "script.evaluate",
            {
                "expression": text,
                "target": {"context": self.context},
                "awaitPromise": True,
                "userActivation": True,
            },
        )
        assert result["type"] == "success", result.get("exceptionDetails", {}).get("text")
        return json.loads(result["result"]["value"])

    def wait(self, expression: str, timeout_s: float = 45.0) -> Any:
        """Evaluate until the value is true; the value."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            assert time.monotonic() < deadline, f"waited for: {expression}"
            time.sleep(0.1)

    def press(self, test_id: str) -> None:
        """Press the button with this test id, once it is there."""
        found = f"document.querySelector('[data-testid=\"{test_id}\"]')"
        self.wait(f"{found} !== null")
        self.evaluate(f"{found}.click()")


class Firefox:
    """A running Firefox and the connection to it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._next = 0
        self.call("session.new", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": True}}})

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """One command; its result. Raises AssertionError with Firefox's message."""
        self._next += 1
        self._connection.send(json.dumps({"id": self._next, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            if message.get("id") == self._next:
                assert message["type"] == "success", message.get("message")
                result: dict[str, Any] = message["result"]
                return result

    def tab(self) -> Tab:
        context = self.call("browsingContext.create", {"type": "tab"})["context"]
        return Tab(self, context)

    def tabs(self) -> list[Tab]:
        """All open tabs, oldest first."""
        tree = self.call("browsingContext.getTree", {"maxDepth": 0})["contexts"]
        return [Tab(self, each["context"]) for each in tree]

    def frames_of(self, tab: Tab) -> list[Tab]:
        """The frames in a tab, also those of other sites."""
        tree = self.call("browsingContext.getTree", {"root": tab.context})["contexts"][0]
        return [Tab(self, each["context"]) for each in tree["children"] or ()]


@contextmanager
def running_firefox() -> Iterator[Firefox]:
    """Firefox without a window, with fake camera and microphone and a profile of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        Path(profile, "user.js").write_text("\n".join(lines), encoding="utf-8")
        log = Path(profile, "log.txt")
        with log.open("wb") as out:
            command = ["firefox-esr", "--headless", "--no-remote", "--profile", profile]
            process = subprocess.Popen([*command, "--remote-debugging-port", "0"], stdout=out, stderr=out)
        try:
            with connect(f"{_address(process, log)}/session", max_size=None) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while True:
        found = re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text("utf-8", "replace"))
        if found is not None:
            return found[1]
        assert process.poll() is None and time.monotonic() < deadline, log.read_text("utf-8", "replace")[
            -800:
        ]
        time.sleep(0.1)
